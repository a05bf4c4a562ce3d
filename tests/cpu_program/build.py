"""Builds a test program from csrc and its folder, with the flags that the package is built with.

    python tests/cpu_program/build.py build/cpu_program/native [--program NAME] [--cxx CXX] [--jobs N] [-- EXTRA FLAGS]

cpu_program, this folder, has all of csrc/cpu; c_api_program, beside it, the library of the C API.

What was compiled with the same command is kept in build/objects, so without extra flags the kernels' objects are those
of the extension. Prints the program's path. Needs a C++17 compiler and the standard library alone: neither torch nor
setuptools.
"""

import argparse
import os
import shlex
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parent
sys.path.insert(0, str(ROOT))

from building.flags import cxx_flags  # noqa: E402
from building.objects import BuildError, Job, Objects, log, run  # noqa: E402
from building.sources import C_API_SOURCES, CPU_SOURCES  # noqa: E402
from building.tools import version_of  # noqa: E402

SOURCES = {"cpu_program": CPU_SOURCES, "c_api_program": C_API_SOURCES}


def jobs_of(program: str, cxx: list[str], extra: list[str]) -> list[Job]:
    ours = [str(path.relative_to(ROOT)) for path in sorted((TESTS / program).glob("*.cpp"))]
    sources = dict.fromkeys([*SOURCES[program], "csrc/cpu/noise.cpp", *ours])
    return [Job(source, (*cxx, *cxx_flags(source), *extra), version_of(tuple(cxx))) for source in sources]


def build(name: str, folder: Path, cxx: list[str], jobs: int, extra: list[str]) -> Path:
    """The path of the program `name`, linked in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    store = Objects(ROOT / "build/objects", ROOT, log)
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        objects = [str(made.path) for made in pool.map(store.make, jobs_of(name, cxx, extra))]
    program = folder / name
    run([*cxx, "-pthread", *extra, *objects, "-o", str(program)], ROOT, log)
    return program


def main() -> None:
    ours, _, extra = " ".join(map(shlex.quote, sys.argv[1:])).partition(" -- ")
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where objects and the program go")
    parser.add_argument("--program", choices=SOURCES, default="cpu_program", help="which program")
    parser.add_argument("--cxx", default=os.environ.get("CXX") or "c++", help="the compiler")
    parser.add_argument("--jobs", type=int, default=int(os.environ.get("MAX_JOBS") or os.cpu_count() or 1))
    options = parser.parse_args(shlex.split(ours))
    folder, cxx = options.folder.resolve(), shlex.split(options.cxx)
    try:
        program = build(options.program, folder, cxx, options.jobs, shlex.split(extra))
    except BuildError as error:
        raise SystemExit(str(error)) from None
    sys.stdout.write(f"{program}\n")


if __name__ == "__main__":
    main()
