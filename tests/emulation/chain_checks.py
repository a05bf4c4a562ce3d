"""What kernels have to get right beyond a row's values, as checks that mutants are put to; they raise AssertionError.

Each is one or two launches, compiled like those of a row of the table where that is possible.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from support.chain_cases import Case
from support.chain_rows import DTYPES, case_of
from support.tolerances import assert_as_good_as
from torch import Tensor

from .capture import EmulatedLaunch, emulated
from .chain_launches import KERNELS, Kernels, Results, defined, launched, setting, upstream
from .chain_table import BATCH_NORMS, ROWS, Row
from .pass_launches import batch_norm_affine_defined, batch_norm_affine_of
from .ptx import Order

_LEAKY_RELU, _RELU, _TANH = 1, 2, 3
# Several warps at a time, one after the other from the first and from the last, and blocks that are behind.
ORDERS = (Order(), Order("ascending", "reverse"), Order("descending", "shuffled", 3), Order("straggling"))

CHECKS: dict[str, Callable[["Subject"], None]] = {}


def check(function: Callable[["Subject"], None]) -> Callable[["Subject"], None]:
    CHECKS[function.__name__] = function
    return function


@dataclass(frozen=True)
class Subject:
    """The kernels that are checked: a package of them, a target, and what is done to their PTX."""

    target: str = "sm_80"
    kernels: Kernels = KERNELS
    edit: Callable[[str], str] = str

    @contextmanager
    def emulated(self, precision: str = "ieee", order: Order = ORDERS[0]) -> Iterator[list[EmulatedLaunch]]:
        self.kernels.workspace._counters.clear()  # a mutant may have left them anywhere
        with (
            setting(self.target, precision, kernels=self.kernels),
            emulated(self.target, order, count=False, edit=self.edit) as launches,
        ):
            yield launches


def row(configuration: str, **changes) -> Row:
    (found,) = (each for each in ROWS if each.configuration == configuration)
    return found._replace(**changes)


def _right(subject: Subject, of: Row, orders: tuple[Order, ...] = ORDERS[:1]) -> None:
    """Results and gradients of the row within the rule, in every order the same bits.

    Counters are zero after each launch, as the next one needs them.
    """
    case = case_of(of)
    up = upstream(case, of.uses) if of.parts else None
    first: Results | None = None
    for order in orders:
        with subject.emulated(of.precision, order):
            ours = launched(case, up, of.parts, kernels=subject.kernels)
        assert all(not counters.any() for counters in subject.kernels.workspace._counters.values())
        first = first or ours
        assert all(a is None or torch.equal(a, b) for a, b in zip(ours, first, strict=True)), str(order)
    stock, exact = defined(case, up, of.precision == "tf32"), defined(case.to(torch.float64), up)
    for actual, other, wanted in zip(ours, stock, exact, strict=True):
        if actual is not None and wanted is not None:
            assert_as_good_as(actual, other.to(actual.dtype), wanted)


@check
def transposed_forward(subject: Subject) -> None:
    """48 channels of 32 at a time, 32 of 64 columns, 4 phases, statistics over 8 tiles."""
    _right(subject, row("conv_transpose2d 4x4s2 48 to 32 fp16", samples=5, parts=""))


@check
def forward(subject: Subject) -> None:
    """K runs over taps and 3 channels without gaps."""
    _right(subject, row("conv2d 4x4s2 from 3 fp16", parts=""))


@check
def gradients_of_a_transposed_convolution(subject: Subject) -> None:
    _right(subject, row("conv_transpose2d 4x4s2 48 to 32 fp16"))


@check
def input_gradient(subject: Subject) -> None:
    _right(subject, row("conv2d 4x4s2 from 3 fp16", parts="input"))


@check
def weight_gradient_in_splits(subject: Subject) -> None:
    """12 pixels of 180 samples: 68 steps of 32 in four splits."""
    _right(subject, row("conv2d 4x4s2 from 3 fp16", samples=180, parts="weight"))


@check
def scale_and_shift_by_sample(subject: Subject) -> None:
    _right(subject, row("conv_transpose2d 4x4s2 to 3 bf16", parts="input"))


@check
def sums_in_every_order(subject: Subject) -> None:
    """7 tiles and 24 of them, in groups of which the last is smaller."""
    _right(subject, row("conv2d 4x4s2 from 3 fp16", samples=33, parts="input"), ORDERS)


@check
def splits_in_every_order(subject: Subject) -> None:
    """In float32, where the order of a sum shows."""
    _right(subject, row("conv2d 4x4s2 from 3 ieee", samples=90, parts="weight"), ORDERS[:3])


@check
def padding_is_of_z(subject: Subject) -> None:
    """x = 0, shift 3, all weights 1: an output counts the taps inside the image, times 3."""
    x, w = torch.zeros(1, 16, 3, 3, dtype=torch.float16), torch.ones(16, 16, 3, 3, dtype=torch.float16)
    case = Case("conv2d", (x, w, None, None, torch.full((1, 16), 3.0)), ("leaky_relu", 0.2, (1, 1), (1, 1)))
    with subject.emulated():
        y = launched(case, statistics=False, kernels=subject.kernels).y
    expected = 48 * torch.tensor([[4.0, 6, 4], [6, 9, 6], [4, 6, 4]])
    assert torch.equal(y.float(), expected.expand_as(y))


@check
def statistics_are_of_what_is_stored(subject: Subject) -> None:
    """Of y after it was rounded, before the bias."""
    case = case_of(row("conv_transpose2d 4x4s2 48 to 32 fp16", samples=5))
    with subject.emulated():
        y, mean, var, *_ = launched(case, kernels=subject.kernels)
    before = y.double() - case.tensors[2].detach().double()[:, None, None]
    torch.testing.assert_close(mean.double(), before.mean((0, 2, 3)), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(var.double(), before.var((0, 2, 3), correction=0), rtol=1e-6, atol=0)


def _far_from_zero() -> tuple[Tensor, Case]:
    x = 1e4 + torch.randn(3, 8, 15, 14, generator=torch.Generator().manual_seed(0))
    tensors = x, torch.eye(8)[:, :, None, None], torch.linspace(-1e4, 1e4, 8), None, None
    return x, Case("conv2d", tensors, ("none", 1.0, (1, 1), (0, 0)))


@check
def statistics_far_from_zero(subject: Subject) -> None:
    """A mean of 1e4 standard deviations, over 10 tiles."""
    _, case = _far_from_zero()
    with subject.emulated():
        y, mean, var, *_ = launched(case, kernels=subject.kernels)
    before = y.double() - case.tensors[2].double()[:, None, None]
    torch.testing.assert_close(mean.double(), before.mean((0, 2, 3)), rtol=1e-7, atol=0)
    torch.testing.assert_close(var.double(), before.var((0, 2, 3), correction=0), rtol=1e-6, atol=0)


@check
def tf32_is_rounded(subject: Subject) -> None:
    """As exact as 11 bits, and no bias, which truncation would leave in the variance."""
    case = case_of(row("conv_transpose2d 4x4s2 48 to 32 tf32", samples=20))
    with subject.emulated("tf32"):
        y, _, var, *_ = launched(case, kernels=subject.kernels)
    exact = defined(case.to(torch.float64))
    assert 2e-5 < (y - exact.y).norm() / exact.y.norm() < 2**-11
    assert (var / exact.var - 1).mean().abs() < 5e-5


@check
def slopes_at_zero(subject: Subject) -> None:
    """act' at 0 is torch's: the negative slope, and 0."""
    x = torch.zeros(2, 64, 5, 7, dtype=torch.float16)
    dz = torch.ones_like(x)
    for activation, slope in ((_LEAKY_RELU, 0.25), (_RELU, 0.0)):
        how = dz, x, None, None, activation, 0.25, True, False, False
        with subject.emulated():
            dx, *_ = subject.kernels.affine_act.affine_act_backward(*how)
        assert (dx == slope).all()


@check
def pixels_of_every_kind(subject: Subject) -> None:
    """All ties, and what is cut off; the epilogue's are those of its tanh."""
    ties = (torch.arange(-4, 524) / 2 / 127.5 - 1).view(1, 1, 16, 33)
    with subject.emulated():
        pixels = subject.kernels.affine_act.affine_act(ties, None, None, 0, 1.0, True)
    assert torch.equal(pixels.long(), ((ties + 1) * 127.5).round().clamp(0, 255).long())
    case = case_of(row("conv_transpose2d 4x4s2 to 3 bf16", rows="per_channel"))
    x, w, b, s, t = (each.detach() for each in case.tensors)
    of_conv = x, w * 0.05, b, s, t, _RELU, 0.0, (2, 2), (1, 1), (10, 12), True, False
    with subject.emulated():
        conv, last = subject.kernels.affine_act_conv.affine_act_conv, {"output_activation": _TANH}
        z, epilogue = conv(*of_conv, **last)[0], conv(*of_conv, **last, pixels=True)[0]
    assert torch.equal(epilogue.long(), ((z.float() + 1) * 127.5).round().clamp(0, 255).long())
    exact = defined(case._replace(tensors=(x, w * 0.05, b, s, t)).to(torch.float64)).y.tanh()
    assert (z - exact).abs().max() <= 2 * torch.finfo(DTYPES["bf16"]).eps


@check
def batch_norm_vectors(subject: Subject) -> None:
    with subject.emulated():
        ours = batch_norm_affine_of(BATCH_NORMS[0], subject.kernels)
    stock, exact = (batch_norm_affine_defined(BATCH_NORMS[0], dtype) for dtype in (None, torch.float64))
    for name, actual in ours.items():
        assert_as_good_as(actual, stock[name], exact[name])
