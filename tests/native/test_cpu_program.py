"""The CPU kernels on guarded memory: builds and runs the program of tests/cpu_program."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "tests/cpu_program/build.py"


@pytest.fixture(scope="module")
def program(need) -> Path:
    """The program, of the extension's own objects where that was built; kept in build/ from run to run."""
    named = shlex.split(os.environ.get("CXX") or "")[:1]
    found = [c for c in named or ["c++", "g++", "clang++"] if shutil.which(c)]
    need(None if found else "no C++ compiler", "cc")
    command = [sys.executable, str(BUILD), str(ROOT / "build/cpu_program/native"), "--jobs", "1"]
    command += [] if named else ["--cxx", found[0]]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return Path(built.stdout.strip())


def run(program: Path, *options: str) -> subprocess.CompletedProcess:
    return subprocess.run([str(program), *options], capture_output=True, text=True, timeout=240)


@pytest.mark.slow
def test_every_kernel_is_right_and_stays_in_its_memory(program):
    done = run(program)
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stdout.startswith("ok: ") and "0 failures" in done.stdout


def test_a_touched_guard_page_is_a_failure_with_a_name(program):
    done = run(program, "--fault")
    assert done.returncode == 1
    assert done.stderr == "FAIL fault: touched memory 0 bytes after the end of a tensor of 3 bytes\n"


def test_help(program):
    done = run(program, "--help")
    assert done.returncode == 0 and done.stdout.startswith("usage: cpu_program")


@pytest.mark.parametrize("options", [["--nonsense"], ["--only", "nonsense"], ["--capability", "nonsense"]])
def test_a_wrong_option_is_refused(program, options):
    done = run(program, *options)
    assert done.returncode == 2 and "nonsense" in done.stderr and "usage:" in done.stderr
