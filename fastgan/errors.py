"""Errors a user can mend: each message is one sentence that says what, expected, got, and the way out."""


class FastganError(Exception):
    """Base of every error whose message is meant for the user; the command line prints it and exits 1."""


class DataError(FastganError, ValueError):
    """Images, labels or a data set that cannot be used as they are."""


class RunError(FastganError, RuntimeError):
    """A run folder, checkpoint or training that cannot go on."""


class OutputError(FastganError, RuntimeError):
    """A place or a set on disk that cannot be written or does not hold what it should."""


class BackendError(FastganError, RuntimeError):
    """A backend that was forced and cannot run here."""


class FastganWarning(UserWarning):
    """Something the user should know although the work goes on; the command line prints it as one sentence."""
