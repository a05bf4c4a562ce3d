"""The library of the C API, files for it to load, and Python held to the kernels that it runs."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from c_library import ROOT, Library, flags
from plans import PLANS

from fastgan import backends, native
from fastgan.cli.c_api import LIBRARY
from fastgan.frozen import FrozenGenerator, save


@pytest.fixture(scope="session")
def library(need) -> Library:
    need(native.ops_missing() or (None if LIBRARY.is_file() else f"{LIBRARY} is missing"), "cpu")
    return Library(LIBRARY)


@pytest.fixture(scope="session")
def plan(tmp_path_factory) -> Callable[[str], tuple[FrozenGenerator, Path]]:
    """plan(name): one of PLANS, and the file that holds it."""
    folder, made = tmp_path_factory.mktemp("plans"), {}

    def get(name: str) -> tuple[FrozenGenerator, Path]:
        if name not in made:
            frozen = PLANS[name]()
            made[name] = frozen, save(frozen, folder / f"{len(made)}.safetensors")
        return made[name]

    return get


@pytest.fixture(params=["default", "avx2", "avx512"])
def capability(request, library, need) -> Iterator[str]:
    """A capability of this machine, in force in Python too, where nothing but the kernels may run."""
    try:
        native.force_cpu_capability(request.param)
    except ValueError as error:
        need(str(error), request.param)
    with backends.use_backend("cpu"):
        yield request.param
    native.force_cpu_capability("auto")


@pytest.fixture(scope="session")
def compiler(library, need) -> str:
    found = shutil.which("cc")
    need(None if found else "no C compiler", "cc")
    return found


@pytest.fixture(scope="session")
def example(compiler, tmp_path_factory) -> Path:
    """examples/c/generate.c, compiled as its first lines say."""
    program = tmp_path_factory.mktemp("example") / "generate"
    strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    source = str(ROOT / "examples/c/generate.c")
    subprocess.run([compiler, *strict, source, *flags(), "-pthread", "-o", str(program)], check=True)
    return program
