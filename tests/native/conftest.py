"""Leaf operators are tested on poisoned memory, once per capability, which must be the one that ran."""

from collections.abc import Iterator

import pytest
import torch
from support import cuda_host

from fastgan import native


@pytest.fixture(autouse=True)
def _poisoned(poisoned_memory: None) -> None:
    pass


CAPABILITIES = ["default", "avx2", "avx512"]


@pytest.fixture(params=CAPABILITIES)
def leaf(request, need) -> Iterator:
    """torch.ops.fastgan_C under one capability; fails where another one's kernels ran."""
    yield from _with_capability(request, need)


@pytest.fixture(params=[*CAPABILITIES, *cuda_host.PARAMETERS])
def pass_leaf(request, need) -> Iterator:
    """The same, or the CUDA operators on CPU tensors under one schedule."""
    if request.param in CAPABILITIES:
        yield from _with_capability(request, need)
        return
    with cuda_host.forced(request.param):
        yield native.cuda_operators()


def _with_capability(request, need) -> Iterator:
    need(native.ops_missing(), "cpu")
    try:
        native.force_cpu_capability(request.param)
    except ValueError as error:
        need(str(error), request.param)
    yield torch.ops.fastgan_C
    ran = native.last_cpu_capability()
    native.force_cpu_capability("auto")
    assert ran == request.param
