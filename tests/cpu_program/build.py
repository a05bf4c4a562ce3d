"""Builds the CPU test program from csrc/cpu and this folder, with the flags that setup.py builds the kernels with.

    python tests/cpu_program/build.py build/cpu_program/native [--cxx CXX] [--jobs N] [-- EXTRA FLAGS]

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

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))

from building.objects import Job, Objects, run  # noqa: E402


def build_settings() -> dict:
    """CPU_SOURCES, FUSED_SOURCES and CXX_FLAGS of setup.py, which cannot be imported without building."""
    wanted = {"CPU_SOURCES", "FUSED_SOURCES", "CXX_FLAGS"}
    assignments = [
        node
        for node in ast.parse((ROOT / "setup.py").read_text()).body
        if isinstance(node, ast.Assign) and {getattr(t, "id", None) for t in node.targets} & wanted
    ]
    settings = {"re": re}
    exec(compile(ast.Module(assignments, []), "setup.py", "exec"), settings)
    return settings


def jobs_of(cxx: list[str], extra: list[str]) -> list[Job]:
    settings = build_settings()
    compiler = subprocess.run([*cxx, "--version"], capture_output=True, text=True).stdout.splitlines()[0]
    ours = [str(path.relative_to(ROOT)) for path in sorted(HERE.glob("*.cpp"))]
    jobs = []
    for source in [*settings["CPU_SOURCES"], "csrc/cpu/noise.cpp", *ours]:
        fused = ["-ffp-contract=fast"] if source in settings["FUSED_SOURCES"] else []
        jobs.append(Job(source, (*cxx, *settings["CXX_FLAGS"], *fused, *extra), compiler))
    return jobs


def log(text: str) -> None:
    sys.stderr.write(text + "\n")


def build(folder: Path, cxx: list[str], jobs: int, extra: list[str]) -> Path:
    """The path of the program, linked in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    store = Objects(ROOT / "build/objects", ROOT, log)
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        objects = [str(made.path) for made in pool.map(store.make, jobs_of(cxx, extra))]
    program = folder / "cpu_program"
    run([*cxx, "-pthread", *extra, *objects, "-o", str(program)], ROOT, log)
    return program


def main() -> None:
    ours, _, extra = " ".join(map(shlex.quote, sys.argv[1:])).partition(" -- ")
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where objects and the program go")
    parser.add_argument("--cxx", default=os.environ.get("CXX") or "c++", help="the compiler")
    parser.add_argument("--jobs", type=int, default=int(os.environ.get("MAX_JOBS") or os.cpu_count() or 1))
    options = parser.parse_args(shlex.split(ours))
    program = build(options.folder.resolve(), shlex.split(options.cxx), options.jobs, shlex.split(extra))
    sys.stdout.write(f"{program}\n")


if __name__ == "__main__":
    main()
