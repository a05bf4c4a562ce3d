"""The `fastgan` command: one subcommand a file, errors as one sentence, exit 2 for a wrong flag and 1 for a failure."""

import errno
import sys
import warnings
from importlib import import_module

import typer

from fastgan import build_info
from fastgan._version import __version__
from fastgan.cli.console import note
from fastgan.errors import FastganError, FastganWarning

COMMANDS = (
    "info",
    "data",
    "demo",
    "train",
    "generate",
    "study",
    "report",
    "bench",
    "tune",
    "export",
    "c-api",
    "verify",
)

# typer ships click inside itself from 0.26 on and beside itself before: this is its UsageError in both.
_UsageError = typer.BadParameter.__base__


def _version(show: bool) -> None:
    if show:
        sys.stdout.write(f"fastgan {__version__}\n")
        raise typer.Exit


def _options(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Train a GAN on a folder of images, write labelled synthetic images, and learn whether they help.

    Example: fastgan train digits --images 20000
    """
    if context.invoked_subcommand != "info" and (missing := build_info.notice()):
        note(missing)


def build(names: tuple[str, ...]) -> typer.Typer:
    """The application with the commands `names`; each lives in the module of its name, with _ for -."""
    app = typer.Typer(
        name="fastgan",
        callback=_options,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for name in names:
        name_in_python = name.replace("-", "_")
        module = import_module(f"fastgan.cli.{name_in_python}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            app.command(name=name)(getattr(module, name_in_python))
    return app


def run(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    warnings.showwarning = _warn
    # One command's imports take a second, all of them several: only the general help needs all.
    first = arguments[0] if arguments else ""
    names = () if first == "--version" else (first,) if first in COMMANDS else COMMANDS
    try:
        return int(build(names)(args=arguments, prog_name="fastgan", standalone_mode=False) or 0)
    except _UsageError as error:
        return _usage(error)
    except (typer.Abort, KeyboardInterrupt):
        return _say("interrupted", 130)
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except (FastganError, ValueError) as error:
        return _say(str(error), 1)
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        return _say("out of memory: use a smaller --batch, --width or --size", 1)
    except OSError as error:
        return _say(_os_sentence(error), 1)


def _usage(error) -> int:
    message = error.format_message().replace("Value error, ", "")  # how some versions of typer begin a reason
    if "\n" in message:  # called without a command: typer's message is the help
        sys.stderr.write(message + "\n")
        return 2
    where = error.ctx.command_path if error.ctx else "fastgan"
    return _say(f"{message.rstrip('.')}; see '{where} --help'", 2)


def _is_out_of_memory(error: Exception) -> bool:
    # torch has a class for CUDA only; its CPU allocator raises a plain RuntimeError.
    return isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate memory" in str(error)


def _os_sentence(error: OSError) -> str:
    where = f": {error.filename}" if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"the disk is full{where}; what was finished is kept: make room and run the same command again"
    return f"{error.strerror or error}{where}"


def _warn(message, category, *_details) -> None:
    # Our own warnings are sentences for the user; those of other packages keep to themselves.
    if issubclass(category, FastganWarning):
        _say(f"warning: {message}", 0)


def _say(sentence: str, code: int) -> int:
    sys.stderr.write(f"fastgan: {sentence}\n")
    return code
