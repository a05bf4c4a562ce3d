"""Builds a test program from csrc and its folder, with the flags that setup.py builds csrc with.

    python tests/cpu_program/build.py build/cpu_program/native [--program NAME] [--cxx CXX] [--jobs N] [-- EXTRA FLAGS]

cpu_program, this folder, has all of csrc/cpu; c_api_program, beside it, the library of the C API.

What was compiled with the same command is kept in build/objects, so without extra flags the kernels' objects are those
of the extension. Prints the program's path. Needs a C++17 compiler and the standard library alone: neither torch nor
setuptools.
"""

import argparse
import ast
import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parent
SOURCES = {"cpu_program": "CPU_SOURCES", "c_api_program": "C_API_SOURCES"}
sys.path.insert(0, str(ROOT))

from building.objects import Job, Objects, run  # noqa: E402


def build_settings() -> dict:
    """The lists of sources and CXX_FLAGS of setup.py, which cannot be imported without building."""
    wanted = {*SOURCES.values(), "FUSED_SOURCES", "CXX_FLAGS"}
    assignments = [
        node
        for node in ast.parse((ROOT / "setup.py").read_text()).body
        if isinstance(node, ast.Assign) and {getattr(t, "id", None) for t in node.targets} & wanted
    ]
    settings = {"re": re}
    exec(compile(ast.Module(assignments, []), "setup.py", "exec"), settings)
    return settings


def jobs_of(program: str, cxx: list[str], extra: list[str]) -> list[Job]:
    settings = build_settings()
    compiler = subprocess.run([*cxx, "--version"], capture_output=True, text=True).stdout.splitlines()[0]
    ours = [str(path.relative_to(ROOT)) for path in sorted((TESTS / program).glob("*.cpp"))]
    jobs = []
    for source in dict.fromkeys([*settings[SOURCES[program]], "csrc/cpu/noise.cpp", *ours]):
        special = ["-ffp-contract=fast"] if source in settings["FUSED_SOURCES"] else []
        special += ["-Ifastgan/include"] if "c_api" in source else []
        jobs.append(Job(source, (*cxx, *settings["CXX_FLAGS"], *special, *extra), compiler))
    return jobs


def log(text: str) -> None:
    sys.stderr.write(text + "\n")


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
    program = build(options.program, folder, cxx, options.jobs, shlex.split(extra))
    sys.stdout.write(f"{program}\n")


if __name__ == "__main__":
    main()
