"""The chain operators on backend cuda without a GPU: its kernels as C++ on the CPU, behind the operators themselves.

The checks are those that Triton's kernels are put to in their interpreter (tests/support/triton_chain_checks.py).
"""

import pytest
import torch
from support import cuda_host
from support.chain_cases import OPS, make_case
from support.triton_chain_checks import CHECKS

from fastgan import backends

pytestmark = [pytest.mark.cuda_host, pytest.mark.timeout(900)]  # the first test builds the library
# These are of Triton's launchers alone; gradients in bfloat16 are ATen's, which rounds between its passes.
OTHERS = {"batch_norm_as_vectors", "pixels_of_the_epilogue", "refusals"}
NAMES = [name for name in CHECKS if name not in OTHERS and not name.endswith("-bf16")]


@pytest.fixture
def ieee():
    switch = torch.backends.cudnn.conv
    before = switch.fp32_precision
    switch.fp32_precision = "ieee"
    yield
    switch.fp32_precision = before


@pytest.mark.parametrize("name", NAMES)
def test_on_the_host(name, ieee):
    with cuda_host.forced("cuda-schedule-0"), backends.record() as runs:
        CHECKS[name]()
    assert "cuda" in {run.backend for run in runs}
    assert {run.backend for run in runs} <= {"cuda", "reference"}


@pytest.mark.parametrize("kind", OPS)
@pytest.mark.parametrize("backend", cuda_host.BACKENDS)
def test_a_schedule_changes_no_bit(kind, backend, ieee):
    case = make_case(kind, channels=(16, 24), size=(9, 8), kernel=(4, 4), stride=(2, 2), dtype=torch.bfloat16)
    with cuda_host.forced("cuda-schedule-0"):
        first = case.run()
    with cuda_host.forced(backend):
        results = case.run()
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(results, first, strict=True))


def test_float64_is_refused():
    with (
        cuda_host.forced("cuda-schedule-0"),
        pytest.raises(backends.BackendError, match="it does not take float64"),
    ):
        make_case("conv2d").run()
