"""Kernels on the CPU under AddressSanitizer and UBSan, on memory of torch's: affine_act, gan_loss and frozen_pass."""

import subprocess
import sys
from pathlib import Path

import pytest

from . import build, frozen_checks
from .mutants import FROZEN, FROZEN_READS, KERNELS
from .test_mutants import FLAGS, frozen_launchers, spoilt

pytestmark = pytest.mark.cuda_host
RUN = """
import ctypes, sys
from cuda_host import pass_checks
for name in sys.argv[2:]:
    pass_checks.CHECKS[name](ctypes.CDLL(sys.argv[1]))
    print(name)
"""
RUN_FROZEN = """
import ctypes, sys
from cuda_host import frozen_checks
for name in sys.argv[2:]:
    frozen_checks.CHECKS[name](frozen_checks.OnHost(ctypes.CDLL(sys.argv[1])))
    print(name)
"""
CHECKS = ["values_of_3_channels", "values_in_nchw", "pixels_in_nchw", "values_not_aligned", "gradients_of_3_channels"]
CHECKS += ["gradients_by_image", "gradients_in_nchw", "losses"]


def run(csrc: Path, sources: list[str], checks: list[str], folder: Path = build.FOLDER) -> subprocess.CompletedProcess:
    paths = [csrc / "cuda" / source for source in sources]
    library = build.library("passes_sanitized", paths, FLAGS, sanitize=True, csrc=csrc, folder=folder)
    return run_python(RUN, library, checks)


def run_python(code: str, library: Path, checks: list[str]) -> subprocess.CompletedProcess:
    environment = {**build.sanitizer_environment(), "PYTHONPATH": str(build.HERE.parent)}
    command = [sys.executable, "-c", code, str(library), *checks]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)


def test_nothing_is_found():
    done = run(build.ROOT / "csrc", ["affine_act.cu", "gan_loss.cu"], CHECKS)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.split() == CHECKS


def test_a_read_past_a_tensor_of_torch_is_found(tmp_path):
    """Of a mistake that only reads: channels that do not begin again."""
    mutant = next(each for each in KERNELS if each.name == "channels do not begin again in a fold")
    done = run(spoilt(build.ROOT / "csrc", mutant, tmp_path / "csrc"), ["affine_act.cu"], [mutant.check], tmp_path)
    assert done.returncode != 0 and "heap-buffer-overflow" in done.stderr
    assert "affine_act_packs.cuh" in done.stderr


def test_nothing_is_found_in_frozen_generators():
    checks = [name for name in frozen_checks.CHECKS if name != "convolutions"]
    done = run_python(RUN_FROZEN, frozen_launchers(build.ROOT / "csrc", build.FOLDER, sanitize=True), checks)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.split() == checks


@pytest.mark.parametrize("mutant", [FROZEN[0], *FROZEN_READS], ids=lambda mutant: mutant.name)
def test_reads_outside_of_frozen_generators_are_found(mutant, tmp_path):
    library = frozen_launchers(spoilt(build.ROOT / "csrc", mutant, tmp_path / "csrc"), tmp_path, sanitize=True)
    done = run_python(RUN_FROZEN, library, [mutant.check])
    assert done.returncode != 0 and "heap-buffer-overflow" in done.stderr
    assert "frozen_pass.cuh" in done.stderr
