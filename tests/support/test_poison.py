"""The poisoned memory really is poisoned, in Python and in a C++ operator that forgets to write."""

import shutil
import subprocess
from pathlib import Path

import torch

FORGETFUL = r"""
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
using torch::stable::Tensor;
static Tensor forget(Tensor x) { return torch::stable::new_empty(x, x.sizes()); }
STABLE_TORCH_LIBRARY(fastgan_test_poison, m) { m.def("forget(Tensor x) -> Tensor"); }
STABLE_TORCH_LIBRARY_IMPL(fastgan_test_poison, CPU, m) { m.impl("forget", TORCH_BOX(&forget)); }
"""


def test_python_tensors_are_poisoned(poisoned_memory):
    assert torch.empty(100).isnan().all()
    assert torch.zeros(3).new_empty(100, dtype=torch.float64).isnan().all()


def test_tensors_of_cpp_operators_are_poisoned(tmp_path: Path, poisoned_memory, need):
    compiler = shutil.which("c++")
    need(None if compiler else "no C++ compiler is on the PATH", "cpu")
    source, library = tmp_path / "forget.cpp", tmp_path / "forget.so"
    source.write_text(FORGETFUL)
    torch_folder = Path(torch.__file__).parent
    flags = ["-std=c++17", "-O0", "-fPIC", "-shared", "-DTORCH_TARGET_VERSION=0x020b000000000000"]
    paths = [
        "-isystem",
        str(torch_folder / "include"),
        f"-L{torch_folder / 'lib'}",
        "-ltorch",
        "-ltorch_cpu",
        "-lc10",
    ]
    subprocess.run([compiler, *flags, str(source), "-o", str(library), *paths], check=True)
    torch.ops.load_library(str(library))
    assert torch.ops.fastgan_test_poison.forget(torch.zeros(100)).isnan().all()
