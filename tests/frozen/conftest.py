"""Frozen generators on poisoned memory, by stock torch, by each capability of the CPU kernels and by those of CUDA."""

from collections.abc import Iterator

import pytest
from support import cuda_host

from fastgan import backends, native


@pytest.fixture(autouse=True)
def _poisoned(poisoned_memory: None) -> None:
    pass


@pytest.fixture(params=["reference", "default", "avx2", "avx512", *cuda_host.PARAMETERS])
def each_arithmetic(request, need) -> Iterator[str]:
    """The test runs once by each: stock torch, the CPU kernels of each capability, and those of CUDA on the CPU."""
    if request.param in cuda_host.BACKENDS:
        with cuda_host.forced(request.param), backends.record() as runs:
            yield request.param
        assert {run.backend for run in runs if run.op == "frozen_generator"} == {"cuda"}
        return
    if request.param == "reference":
        with backends.use_backend("reference"), backends.record() as runs:
            yield request.param
        assert {(run.backend, run.capability) for run in runs} == {("reference", "")}
        return
    need(native.ops_missing(), "cpu")
    try:
        native.force_cpu_capability(request.param)
    except ValueError as error:
        need(str(error), request.param)
    with backends.use_backend("cpu"), backends.record() as runs:
        yield request.param
    native.force_cpu_capability("auto")
    ran = {(run.backend, run.capability) for run in runs if run.op == "frozen_generator"}
    assert ran == {("cpu", request.param)}
