"""Every mistake of mutants.py fails the check that is named beside it; without one, every check passes."""

import ctypes
import shutil
from pathlib import Path

import pytest

from . import build, frozen_checks, pass_checks, shim_checks
from .mutants import FROZEN, KERNELS, SHIM, Mutant

pytestmark = pytest.mark.cuda_host
FLAGS = ("-fvisibility=default", "-fno-gnu-unique", "-O1")


def spoilt(folder: Path, mutant: Mutant, copy: Path) -> Path:
    """A copy of `folder` in which the one `old` is `new`. ValueError where `old` is not there exactly once."""
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    file = copy / mutant.file
    text = file.read_text()
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.file} must hold {mutant.old!r} once, has it {text.count(mutant.old)} times")
    file.write_text(text.replace(mutant.old, mutant.new))
    return copy


def launchers(csrc: Path, sources: tuple[str, ...], folder: Path = build.FOLDER) -> ctypes.CDLL:
    sources = [csrc / "cuda" / each for each in sources]
    return ctypes.CDLL(str(build.library("passes", sources, FLAGS, csrc=csrc, folder=folder)))


def frozen_launchers(csrc: Path, folder: Path, sanitize: bool = False) -> Path:
    """Those of frozen generators, in front of the convolutions without a mistake."""
    links = ["-Wl,-Bsymbolic", str(build.launchers())]
    sources = [csrc / "cuda" / "frozen_generator.cu"]
    return build.library(
        "frozen_sanitized" if sanitize else "frozen", sources, FLAGS, links, sanitize=sanitize, csrc=csrc, folder=folder
    )


@pytest.mark.parametrize("name", pass_checks.CHECKS)
def test_the_kernels_pass(name):
    pass_checks.CHECKS[name](launchers(build.ROOT / "csrc", ("affine_act.cu", "gan_loss.cu")))


@pytest.mark.parametrize("mutant", KERNELS, ids=lambda mutant: mutant.name)
def test_mistakes_in_the_kernels(mutant, tmp_path):
    csrc = spoilt(build.ROOT / "csrc", mutant, tmp_path / "csrc")
    source = "gan_loss.cu" if "gan_loss" in mutant.file else "affine_act.cu"
    library = launchers(csrc, (source,), tmp_path)
    with pytest.raises(AssertionError):
        pass_checks.CHECKS[mutant.check](library)


@pytest.mark.parametrize("mutant", FROZEN, ids=lambda mutant: mutant.name)
def test_mistakes_in_frozen_generators(mutant, tmp_path):
    library = frozen_launchers(spoilt(build.ROOT / "csrc", mutant, tmp_path / "csrc"), tmp_path)
    with pytest.raises(AssertionError):
        frozen_checks.CHECKS[mutant.check](frozen_checks.OnHost(ctypes.CDLL(str(library))))


@pytest.mark.parametrize("mutant", SHIM, ids=lambda mutant: mutant.name)
def test_mistakes_in_the_shim(mutant, tmp_path):
    shim = spoilt(build.HERE, mutant, tmp_path / "shim")
    sources = sorted((shim / "kernels").glob("*.cu"))
    library = shim_checks.load(build.library("kernels", sources, shim=shim, folder=tmp_path))
    with pytest.raises(AssertionError):
        shim_checks.check(library, mutant.check)
