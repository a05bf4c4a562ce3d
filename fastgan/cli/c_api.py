"""`fastgan c-api`: what a C compiler needs to find fastgan.h and libfastgan.so."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from fastgan import native
from fastgan.cli.console import emit
from fastgan.errors import FastganError

_PACKAGE = Path(__file__).resolve().parents[1]
HEADER = _PACKAGE / "include" / "fastgan.h"
LIBRARY = _PACKAGE / "lib" / "libfastgan.so"


def c_api(
    cflags: Annotated[bool, typer.Option("--cflags", help="Print the flags that compile against fastgan.h.")] = False,
    libs: Annotated[bool, typer.Option("--libs", help="Print the flags that link libfastgan.so.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print flags and files as JSON.")] = False,
) -> None:
    """Print the flags for a C or C++ program that generates images from an exported run.

    Both kinds without an option. The program looks for the library where it is now.

    Example: cc generate.c $(fastgan c-api --cflags --libs) -o generate
    """
    if not LIBRARY.is_file():
        reason = native.build_facts()["reasons"].get("cpu") or f"{LIBRARY} is missing"
        raise FastganError(
            f"the library of the C API was not built: {reason}; {native.HOW_TO_BUILD} builds it, "
            "and so does, without Python, make c-api in a clone"
        )
    folder = str(LIBRARY.parent)
    flags = {
        "cflags": shlex.join([f"-I{HEADER.parent}"]),
        "libs": shlex.join([f"-L{folder}", f"-Wl,-rpath,{folder}", "-lfastgan"]),
    }
    wanted = [name for name, asked in (("cflags", cflags), ("libs", libs)) if asked] or list(flags)
    payload = {**flags, "header": str(HEADER), "library": str(LIBRARY)}
    emit(" ".join(flags[name] for name in wanted), payload, as_json)
