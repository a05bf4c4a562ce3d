"""Every mistake of conv_mutants.py fails the check that is named beside it, compiled by nvcc and emulated."""

import shutil
from pathlib import Path

import pytest
from cuda_host.conv_checks import CHECKS

from .conv_emulated import Emulated
from .conv_mutants import MUTANTS, Mutant
from .nvcc import find_nvcc
from .nvcc_kernels import CUDA_SOURCES
from .ptx import EmulationError

pytestmark = pytest.mark.cuda_host
# A check finds what is wrong, or the emulator what nobody may do.
NOTICED = (AssertionError, EmulationError)


def _spoilt(folder: Path, mutant: Mutant) -> Path:
    """csrc/cuda, in a copy of csrc that has the mistake."""
    for name in ("common", "cuda"):
        shutil.copytree(CUDA_SOURCES.parent / name, folder / "csrc" / name)
    file = folder / "csrc" / "cuda" / mutant.file
    text = file.read_text()
    assert text.count(mutant.old) == 1, f"{mutant.file} must hold it once, has it {text.count(mutant.old)} times"
    file.write_text(text.replace(mutant.old, mutant.new))
    return file.parent


@pytest.mark.parametrize("mutant", [pytest.param(mutant, id=mutant.name) for mutant in MUTANTS])
def test_mistakes_in_the_sources(need, tmp_path, mutant):
    need("nvcc was not found" if find_nvcc() is None else None, "nvcc")
    with pytest.raises(NOTICED):
        CHECKS[mutant.check](Emulated("sm_80", _spoilt(tmp_path, mutant)))


@pytest.mark.parametrize("name", sorted({mutant.check for mutant in MUTANTS}))
def test_the_checks_pass_without_a_mistake(need, name):
    need("nvcc was not found" if find_nvcc() is None else None, "nvcc")
    CHECKS[name](Emulated("sm_80"))
