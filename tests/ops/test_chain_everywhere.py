"""The chain operators: one list of checks for stock torch, the CPU's kernels, Triton's and CUDA's.

The checks, and what a backend does not do, are in tests/support/operator_checks.py. Triton's kernels run in the
interpreter, in a process of its own; CUDA's as C++ on the CPU, under every schedule.
"""

import importlib.util
import json

import pytest
import torch
from support import cuda_host
from support.chain_cases import OPS, make_case
from support.operator_checks import CHECKS, LAUNCHERS, LIMITS, OF_TRITON, float64_is_refused
from support.processes import run_python

from fastgan import backends, native

IN_THIS_PROCESS = ("reference", "aten", "cpu", *cuda_host.BACKENDS)
pytestmark = pytest.mark.timeout(900)  # the first test builds the library


@pytest.fixture
def ieee():
    switch = torch.backends.cudnn.conv
    before = switch.fp32_precision
    switch.fp32_precision = "ieee"
    yield
    switch.fp32_precision = before


@pytest.mark.cuda_host
@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("backend", IN_THIS_PROCESS)
def test_in_this_process(name, backend, need, ieee):
    ours = backend.partition("-")[0]
    if ours in ("aten", "cpu"):
        need(native.ops_missing(), "cpu")
    with cuda_host.forced(backend), backends.record() as runs:
        if reason := LIMITS.get((ours, name)):
            with pytest.raises(AssertionError):
                CHECKS[name]()
                pytest.fail(f"it holds, and LIMITS says that it does not: {reason}")
        else:
            CHECKS[name]()
    assert {run.backend for run in runs} <= {ours, "reference"}
    assert ours in {run.backend for run in runs} or name in OF_TRITON


@pytest.mark.parametrize("limit", LIMITS, ids="-".join)
def test_limits_are_of_checks_and_backends_there_are(limit):
    backend, name = limit
    assert name in CHECKS and backend in backends.NAMES and backend != "triton"


@pytest.mark.cuda_host
@pytest.mark.parametrize("kind", OPS)
@pytest.mark.parametrize("backend", cuda_host.BACKENDS)
def test_a_schedule_changes_no_bit(kind, backend, ieee):
    case = make_case(kind, channels=(16, 24), size=(9, 8), kernel=(4, 4), stride=(2, 2), dtype=torch.bfloat16)
    with cuda_host.forced("cuda-schedule-0"):
        first = case.run()
    with cuda_host.forced(backend):
        results = case.run()
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(results, first, strict=True))


@pytest.mark.cuda_host
def test_cuda_refuses_float64():
    with cuda_host.forced("cuda-schedule-0"):
        float64_is_refused()


@pytest.fixture(scope="module")
def failures(need, request) -> dict[str, str | None]:
    need("triton is not installed" if importlib.util.find_spec("triton") is None else None, "triton")
    tests = str(request.config.rootpath / "tests")
    code = "from support import operator_checks; operator_checks.main()"
    return json.loads(run_python(code, timeout=280, TRITON_INTERPRET="1", PYTHONPATH=tests))


@pytest.mark.emulation  # a minute: `make test-emulation` runs it
@pytest.mark.parametrize("name", CHECKS | LAUNCHERS)
def test_in_tritons_interpreter(name, failures):
    assert failures[name] is None, failures[name]
