"""A frozen generator's CUDA kernels run on the CPU by the host shim, under every schedule, against float64."""

import ctypes

import pytest

from . import build
from .frozen_checks import CHECKS, OnHost

pytestmark = pytest.mark.cuda_host


@pytest.mark.parametrize("name", CHECKS)
def test_checks(name):
    CHECKS[name](OnHost(ctypes.CDLL(str(build.launchers()))))
