"""Builds a test program from csrc and its folder, with the flags that setup.py builds csrc with.

    python tests/cpu_program/build.py build/cpu_program/native [--program NAME] [--cxx CXX] [--jobs N] [-- EXTRA FLAGS]

cpu_program, this folder, has all of csrc/cpu; c_api_program, beside it, the library of the C API.

Only what is older than its sources is compiled again. Prints the program's path. Needs a C++17 compiler and the
standard library alone: neither torch nor setuptools.
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


def sources(program: str) -> list[Path]:
    tested = dict.fromkeys([*build_settings()[SOURCES[program]], "csrc/cpu/noise.cpp"])
    return [*(ROOT / source for source in tested), *sorted((TESTS / program).glob("*.cpp"))]


def flags_of(source: Path, extra: list[str]) -> list[str]:
    settings = build_settings()
    flags = [flag for flag in settings["CXX_FLAGS"] if flag != "-Icsrc"]
    if str(source.relative_to(ROOT)) in settings["FUSED_SOURCES"]:
        flags.append("-ffp-contract=fast")
    return [*flags, f"-I{ROOT / 'csrc'}", f"-I{ROOT / 'fastgan/include'}", "-pthread", *extra]


def is_current(target: Path, command: str) -> bool:
    """Whether `target` came from this command and is newer than all that it was compiled from."""
    depends, log = target.with_suffix(".d"), target.with_suffix(".command")
    if not (target.is_file() and depends.is_file() and log.is_file()) or log.read_text() != command:
        return False
    needed = shlex.split(depends.read_text().replace("\\\n", " ").partition(":")[2])
    return all(os.path.exists(path) and os.path.getmtime(path) <= target.stat().st_mtime for path in needed)


def compile_source(source: Path, folder: Path, cxx: list[str], extra: list[str]) -> Path:
    if source.is_relative_to(TESTS):  # both programs have a main
        folder = folder / f"{source.parent.name}_objects"
        folder.mkdir(exist_ok=True)
    target = folder / (source.stem + ".o")
    depends = ["-MMD", "-MF", str(target.with_suffix(".d"))]
    command = [*cxx, *flags_of(source, extra), *depends, "-c", str(source), "-o", str(target)]
    if not is_current(target, shlex.join(command)):
        run(command)
        target.with_suffix(".command").write_text(shlex.join(command))
    return target


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    sys.stderr.write(done.stdout + done.stderr)
    if done.returncode != 0:
        raise SystemExit(f"this command failed: {shlex.join(command)}")


def build(name: str, folder: Path, cxx: list[str], jobs: int, extra: list[str]) -> Path:
    """The path of the program `name`, linked in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        objects = list(pool.map(lambda source: compile_source(source, folder, cxx, extra), sources(name)))
    program = folder / name
    if not program.is_file() or any(o.stat().st_mtime > program.stat().st_mtime for o in objects):
        run([*cxx, "-pthread", *extra, *map(str, objects), "-o", str(program)])
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
