"""No kernel of csrc/cuda is left out: each that nvcc makes is launched by a case that is emulated.

The cases are those of test_conv_emulated, test_nvcc_passes and test_frozen_emulated; here they are launched alone.
"""

import itertools
from collections.abc import Callable

import pytest
from cuda_host import pass_calls
from cuda_host.conv_calls import Call
from cuda_host.conv_rows import LARGE, ROWS
from cuda_host.frozen_checks import CHECKS, OnHost
from support.chain_rows import case_of, with_wide_parameters

from fastgan.reference import gan_loss as reference

from . import test_nvcc_passes as passes
from .nvcc import compile_source, find_nvcc
from .nvcc_kernels import CUDA_SOURCES, launchers, noted

pytestmark = pytest.mark.cuda_host


def convolutions() -> None:
    for of in (*ROWS, *LARGE):
        case = case_of(of)
        Call(launchers(), with_wide_parameters(case)[0] if of.wide_weight else case, of.precision).results()


def affine_acts() -> None:
    for how, dtype in itertools.product(passes.MAPS.values(), passes.DTYPES):
        x, scale, shift, dz = passes.tensors(*how, dtype)
        pass_calls.affine_act(x, scale, shift, "none", 1.0).run(launchers())
        pass_calls.affine_act_backward(launchers(), dz, x, scale, shift, "none", 1.0).run(launchers())


def gan_losses() -> None:
    for dtype, family in itertools.product(passes.DTYPES, reference.FAMILIES):
        logits = passes.normal(9, seed=0, dtype=dtype)
        pass_calls.gan_loss(logits, logits, family).run(launchers())


class Noting(OnHost):
    """Launches a frozen generator, and then computes it for the check's sake."""

    orders = 1

    def __init__(self, names: set[str]):
        super().__init__(launchers())
        self._names = names

    def run(self, call, order: int = 0):
        with noted() as names:
            call.run()
        self._names |= names
        return super().run(call, order)


def frozen_generators() -> set[str]:
    names: set[str] = set()
    for check in CHECKS.values():
        check(Noting(names))
    return names


def names_of(cases: Callable[[], None]) -> set[str]:
    with noted() as names:
        cases()
    return names


def test_every_kernel_is_emulated(need):
    need("nvcc was not found" if find_nvcc() is None else None, "nvcc")
    launched = frozen_generators().union(*map(names_of, (convolutions, affine_acts, gan_losses)))
    compiled = {
        kernel for source in CUDA_SOURCES.glob("*.cu") for kernel in compile_source(source, "sm_80").kernels.values()
    }
    assert compiled
    assert sorted(compiled - launched) == [], "no emulated case launches these"
    assert sorted(launched - compiled) == [], "these are not in csrc/cuda"
