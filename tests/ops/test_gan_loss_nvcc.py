"""gan_loss in CUDA compiles where nvcc is found, for two architectures, without spilling registers."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

HOMES = [Path("/usr/local/cuda"), *sorted(Path("/usr/local").glob("cuda-*"))[::-1]]


@pytest.fixture
def nvcc(need) -> str:
    found = [str(home / "bin/nvcc") for home in HOMES if (home / "bin/nvcc").is_file()]
    found += [path for path in (shutil.which("nvcc"),) if path]
    need(None if found else "nvcc was not found", "nvcc")
    return found[0]


@pytest.mark.parametrize("arch", [80, 90])
def test_compiles_without_spills(nvcc, arch, tmp_path, request):
    csrc = request.config.rootpath / "csrc"
    command = [
        nvcc,
        "-std=c++17",
        "-O3",
        "-Xptxas",
        "-v",
        f"-I{csrc}",
        f"-gencode=arch=compute_{arch},code=sm_{arch}",
    ]
    command += ["-cubin", str(csrc / "cuda/gan_loss.cu"), "-o", str(tmp_path / "gan_loss.cubin")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    spills = re.findall(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", done.stderr)
    registers = [int(n) for n in re.findall(r"Used (\d+) registers", done.stderr)]
    assert len(spills) == len(registers) == 6  # a tile kernel per dtype of logits, a merge kernel per dtype of losses
    assert set(spills) == {("0", "0", "0")}
    assert max(registers) <= 64


def test_uses_no_atomics(request):
    sources = (request.config.rootpath / "csrc/cuda").glob("gan_loss*")
    assert not any(re.search(r"\batomic\w*\(", source.read_text()) for source in sources)
