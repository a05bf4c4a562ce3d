"""The device of the tests here: a GPU, or in a dry run the CPU, with Triton's interpreter instead of its compiler."""

import os

import pytest
import torch

from fastgan import backends


@pytest.fixture(scope="session")
def device() -> torch.device:
    if not os.environ.get("FASTGAN_GPU_DRY_RUN"):
        return torch.device("cuda")
    if backends.unavailable("triton") is None:
        from support import triton_interpreter

        triton_interpreter.install()
    return torch.device("cpu")
