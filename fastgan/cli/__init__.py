"""The command line. `main` is the `fastgan` console script."""

import sys


def main() -> None:
    """Run the command line; without the packages of the `cli` extra, say how to get them and exit 1."""
    try:
        from fastgan.cli.app import run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "fastgan":
            raise
        sys.stderr.write(
            f"fastgan: the command line needs the package {error.name!r}; in a clone of fastgan: pip install '.[cli]'\n"
        )
        sys.exit(1)
    sys.exit(run())
