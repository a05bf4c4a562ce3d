"""Leaf operators are tested on poisoned memory, once per capability, which must be the one that ran."""

from collections.abc import Iterator

import pytest
import torch

from fastgan import native


@pytest.fixture(autouse=True)
def _poisoned(poisoned_memory: None) -> None:
    pass


@pytest.fixture(params=["default", "avx2", "avx512"])
def leaf(request, need) -> Iterator:
    """torch.ops.fastgan_C under one capability; fails where another one's kernels ran."""
    need(native.ops_missing(), "cpu")
    try:
        native.force_cpu_capability(request.param)
    except ValueError as error:
        need(str(error), request.param)
    yield torch.ops.fastgan_C
    ran = native.last_cpu_capability()
    native.force_cpu_capability("auto")
    assert ran == request.param
