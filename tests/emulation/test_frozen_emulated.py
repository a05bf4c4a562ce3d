"""A frozen generator's CUDA kernels as nvcc compiles them, emulated: results and what they touch."""

import pytest
from cuda_host.frozen_checks import CHECKS

from . import nvcc_budgets
from .frozen_emulated import Emulated
from .nvcc import find_nvcc

pytestmark = pytest.mark.cuda_host
targets = pytest.mark.parametrize("target", nvcc_budgets.EMULATED)


@pytest.fixture(autouse=True)
def _nvcc(need):
    need("nvcc was not found" if find_nvcc() is None else None, "nvcc")


@targets
@pytest.mark.parametrize("name", CHECKS)
def test_checks(name, target):
    CHECKS[name](Emulated(target))
