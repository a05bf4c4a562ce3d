"""Operators are tested on poisoned memory: what a kernel forgets to write shows as NaN. And on each backend."""

import pytest
from support import cuda_host

from fastgan import backends, native


@pytest.fixture(autouse=True)
def _poisoned(poisoned_memory: None) -> None:
    pass


@pytest.fixture(params=["reference", "aten", "cpu"])
def each_cpu_backend(request, need):
    """The test runs once on each backend for CPU tensors; nothing else may run, unless the test itself forces it."""
    if request.param != "reference":
        need(native.ops_missing(), "cpu")
    with backends.use_backend(request.param), backends.record() as runs:
        yield request.param
    assert {run.backend for run in runs} <= {request.param}


@pytest.fixture(params=["reference", "aten", "cpu", *cuda_host.PARAMETERS[:1]])
def each_pass_backend(request, need):
    """The same with backend cuda on CPU tensors, for the operators that it has."""
    if request.param in ("aten", "cpu"):
        need(native.ops_missing(), "cpu")
    ours = "cuda" if request.param in cuda_host.BACKENDS else request.param
    with cuda_host.forced(request.param), backends.record() as runs:
        yield ours
    assert {run.backend for run in runs} <= {ours}
