"""The kernels of affine_act and gan_loss on the CPU under AddressSanitizer and UBSan, on memory of torch's."""

import subprocess
import sys
from pathlib import Path

import pytest

from . import build
from .mutants import KERNELS
from .test_mutants import FLAGS, spoilt

pytestmark = pytest.mark.cuda_host
RUN = """
import ctypes, sys
from cuda_host import pass_checks
for name in sys.argv[2:]:
    pass_checks.CHECKS[name](ctypes.CDLL(sys.argv[1]))
    print(name)
"""
CHECKS = ["values_of_3_channels", "values_in_nchw", "pixels_in_nchw", "values_not_aligned", "gradients_of_3_channels"]
CHECKS += ["gradients_by_image", "gradients_in_nchw", "losses"]


def run(csrc: Path, sources: list[str], checks: list[str], folder: Path = build.FOLDER) -> subprocess.CompletedProcess:
    paths = [csrc / "cuda" / source for source in sources]
    library = build.library("passes_sanitized", paths, FLAGS, sanitize=True, csrc=csrc, folder=folder)
    environment = {**build.sanitizer_environment(), "PYTHONPATH": str(build.HERE.parent)}
    command = [sys.executable, "-c", RUN, str(library), *checks]
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
