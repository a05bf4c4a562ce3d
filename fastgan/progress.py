"""The shape of a progress report: a plain callable, so that no library function depends on a terminal."""

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""`progress(done, total, text)`: `done` of `total` units are finished; `text` is a short status such as a speed."""


def silent(done: int, total: int, text: str = "") -> None:
    """Report nothing: the default of every function that takes a `progress`."""
