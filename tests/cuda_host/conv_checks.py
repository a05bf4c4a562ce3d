"""What the convolutions of csrc/cuda have to get right, whoever runs them: on the host, emulated, or spoilt.

Every check takes a Subject and raises AssertionError, or whatever runs the kernels raises.
"""

import itertools
from collections.abc import Callable
from typing import Protocol

import torch
from support.chain_cases import Case, make_case
from support.chain_rows import case_of, defined, with_wide_parameters
from support.tolerances import assert_as_good_as
from torch import Tensor

from fastgan.models import to_uint8
from fastgan.reference.affine_act import ACTIVATIONS, affine_act

from .conv_calls import Call, Output
from .conv_rows import K1, K4S2, Row, row


class Subject(Protocol):
    """Runs calls, in several orders of threads."""

    def call(self, *arguments, **options) -> Call: ...

    def run(self, call: Call, order: int = 0) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Pack the weight, run F; y, mean and var."""

    orders: int


CHECKS: dict[str, Callable[[Subject], None]] = {}


def check(function: Callable[[Subject], None]) -> Callable[[Subject], None]:
    CHECKS[function.__name__] = function
    return function


def right(subject: Subject, of: Row, order: int = 0) -> None:
    """The row's results within the rule, its counters zero again."""
    case = case_of(of)
    given = case
    if of.wide_weight:
        given, case = with_wide_parameters(case)
    call = subject.call(given, of.precision)
    ours = subject.run(call, order)
    assert not call.counters.any(), "a counter is not zero again"
    stock, exact = defined(case, of.precision)
    for name, actual, other, wanted in zip(("y", "mean", "var"), ours, stock, exact, strict=True):
        try:
            assert_as_good_as(actual, other, wanted)
        except AssertionError as error:
            raise AssertionError(f"{of.configuration}, {name}: {error}") from None


_PLAIN = "none", 1.0, (1, 1), (0, 0)  # activation, slope, stride and padding


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@check
def transposed(subject: Subject) -> None:
    """Four phases of odd sizes, 45 and fewer rows each in one tile, 72 columns in two."""
    right(subject, row("conv_transpose2d odd sizes fp16"))


@check
def convolved(subject: Subject) -> None:
    """K of 384 in 12 steps: every stage is used again."""
    right(subject, row("conv2d odd sizes fp16"))


@check
def read_by_element(subject: Subject) -> None:
    right(subject, row("conv_transpose2d 33 to 5 fp16"))


@check
def images(subject: Subject) -> None:
    """Three channels of odd sizes."""
    right(subject, row("conv_transpose2d to 3 fp16"))


@check
def phases_without_taps(subject: Subject) -> None:
    right(subject, row("conv_transpose2d 2x2s3, phases without taps fp16"))


@check
def phases_of_different_sizes(subject: Subject) -> None:
    """13 x 17 outputs by threes."""
    right(subject, row("conv_transpose2d 5x5s3 fp16"))


@check
def few_rows_of_many_samples(subject: Subject) -> None:
    """More rows of scale and shift than shared memory holds."""
    right(subject, row("conv2d rows of numbers fp16"))


@check
def exact_sums_of_many_products(subject: Subject) -> None:
    """4096 products: added up one by one they are off by four times as much as stock torch's."""
    case = make_case("conv2d", samples=2, channels=(256, 8), size=(8, 8), dtype=torch.float32, **K4S2)
    ours = subject.run(subject.call(case, "ieee"))
    exact = case.to(torch.float64).by_reference()
    assert_as_good_as(ours[0], case.by_reference()[0].detach(), exact[0].detach())


@check
def in_every_order(subject: Subject) -> None:
    """The same bits, whoever runs first: statistics over 20 tiles in groups of 4, four phases or one."""
    _in_every_order(subject, "conv_transpose2d", (8, 24), (8, 8))
    _in_every_order(subject, "conv2d", (8, 40), (32, 32))


def _in_every_order(subject: Subject, kind: str, channels: tuple[int, int], size: tuple[int, int]) -> None:
    case = make_case(kind, samples=5, channels=channels, size=size, dtype=torch.float16, **K4S2)
    first = None
    for order in range(subject.orders):
        call = subject.call(case)
        results = [each.clone() for each in subject.run(call, order)]
        assert not call.counters.any(), "a counter is not zero again"
        first = first or results
        assert all(torch.equal(a, b) for a, b in zip(results, first, strict=True)), f"order {order}"
    exact = case.to(torch.float64).by_reference()
    for actual, stock, wanted in zip(first, case.by_reference(), exact, strict=True):
        assert_as_good_as(actual, stock.detach(), wanted.detach())


@check
def padding_is_of_z(subject: Subject) -> None:
    """x = 0, shift 3, all weights 1: an output counts the taps inside the image, times 3."""
    for channels in (16, 4, 3):
        x, w = torch.zeros(1, channels, 3, 3, dtype=torch.float16), torch.ones(16, channels, 3, 3, dtype=torch.float16)
        tensors = x, w, None, None, torch.full((1, channels), 3.0)
        y, *_ = subject.run(subject.call(Case("conv2d", tensors, ("leaky_relu", 0.2, (1, 1), (1, 1)))))
        expected = 3 * channels * torch.tensor([[4.0, 6, 4], [6, 9, 6], [4, 6, 4]])
        assert torch.equal(y.float(), expected.expand_as(y))


@check
def statistics_are_of_what_is_stored(subject: Subject) -> None:
    """Of y after it was rounded, before the bias; of rows that are there."""
    case = case_of(row("conv_transpose2d odd sizes fp16"))
    y, mean, var = subject.run(subject.call(case))
    before = y.double() - case.tensors[2].detach().double()[:, None, None]
    torch.testing.assert_close(mean.double(), before.mean((0, 2, 3)), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(var.double(), before.var((0, 2, 3), correction=0), rtol=1e-6, atol=0)


@check
def statistics_far_from_zero(subject: Subject) -> None:
    """A mean of 1e4 standard deviations, over 10 tiles."""
    x = 1e4 + _normal(3, 8, 15, 14)
    tensors = x, torch.eye(8)[:, :, None, None], torch.linspace(-1e4, 1e4, 8), None, None
    y, mean, var = subject.run(subject.call(Case("conv2d", tensors, _PLAIN)))
    before = y.double() - tensors[2].double()[:, None, None]
    torch.testing.assert_close(mean.double(), before.mean((0, 2, 3)), rtol=1e-7, atol=0)
    torch.testing.assert_close(var.double(), before.var((0, 2, 3), correction=0), rtol=1e-6, atol=0)


def _scaled(channels: tuple[int, int], dtype: torch.dtype) -> Case:
    """Outputs around 1, so that neither tanh nor pixels are all the same."""
    case = make_case("conv_transpose2d", channels=channels, size=(5, 6), dtype=dtype, **K4S2)
    x, w, b, scale, shift = (each.detach() for each in case.tensors)
    w = w * (4 * channels[0]) ** -0.5 / 2
    return case._replace(tensors=(x, w, b / 2, scale, shift))


@check
def output_activations(subject: Subject) -> None:
    """After the bias, before rounding."""
    for channels in ((16, 3), (16, 24)):
        case = _scaled(channels, torch.float16)
        exact = Case(case.kind, tuple(each.double() for each in case.tensors), case.options).by_reference()[0]
        for activation in ACTIVATIONS:
            output = Output(activation, 0.2)
            y, *_ = subject.run(subject.call(case, statistics=False, output=output))
            stock = affine_act(case.by_reference()[0], None, None, activation, 0.2)
            assert_as_good_as(y, stock, affine_act(exact, None, None, activation, 0.2))


def _pixels(subject: Subject, dtype: torch.dtype) -> None:
    """Bit for bit those that to_uint8 makes of the floats."""
    for channels in ((16, 3), (16, 4), (16, 24), (5, 1)):
        case = _scaled(channels, dtype)
        maps, *_ = subject.run(subject.call(case, statistics=False, output=Output("tanh")))
        pixels, *_ = subject.run(subject.call(case, statistics=False, output=Output("tanh", pixels=True)))
        assert torch.equal(pixels.permute(0, 2, 3, 1), to_uint8(maps)), f"{channels}, {dtype}"


@check
def pixels_of_halves(subject: Subject) -> None:
    _pixels(subject, torch.float16)


@check
def pixels_of_bfloat16(subject: Subject) -> None:
    _pixels(subject, torch.bfloat16)


@check
def pixels_of_floats(subject: Subject) -> None:
    _pixels(subject, torch.float32)


@check
def operands_are_rounded_to_tf32(subject: Subject) -> None:
    """1 and three quarters of tf32's last place: cut off it would be 1, rounded it is the next number."""
    above = 1 + 3 * 2.0**-12
    x, w = torch.full((1, 8, 4, 4), above), torch.full((8, 8, 1, 1), above)
    for affine in (None, torch.ones(1, 8)):
        y, *_ = subject.run(subject.call(Case("conv2d", (x, w, None, affine, None), _PLAIN), "tf32"))
        assert torch.equal(y, torch.full_like(y, 8 * (1 + 2.0**-10) ** 2))


@check
def an_image_is_its_own(subject: Subject) -> None:
    """The same bits alone, in a batch that takes another tile, and read by element."""
    many = make_case("conv2d", samples=512, channels=(8, 16), size=(8, 8), dtype=torch.bfloat16, **K1)
    x, *others = (each.detach() for each in many.tensors)
    batch, *_ = subject.run(subject.call(many, statistics=False))
    for unaligned in (False, True):
        alone = many._replace(tensors=(x[77:78], *others))
        y, *_ = subject.run(subject.call(alone, statistics=False, unaligned=unaligned))
        assert torch.equal(y[0], batch[77])


@check
def rows_that_samples_name(subject: Subject) -> None:
    """Scale and shift as a table of classes, shift for all samples alike."""
    for channels in (24, 4, 3):  # read by 16 bytes, pixels and elements
        case = make_case("conv_transpose2d", "mixed", samples=5, channels=(channels, 16), dtype=torch.float16, **K4S2)
        table = case._replace(tensors=(*case.tensors[:3], _normal(3, channels, seed=1), case.tensors[4][:1]))
        labels = torch.tensor([2, 0, 1, 1, 2])
        y, *_ = subject.run(subject.call(table, statistics=False, sample_rows=labels))
        each = table._replace(tensors=(*table.tensors[:3], table.tensors[3][labels], table.tensors[4]))
        wanted, *_ = subject.run(subject.call(each, statistics=False))
        assert torch.equal(y, wanted)
        exact, *_ = each.to(torch.float64).by_reference()
        assert_as_good_as(y, each.by_reference()[0].detach(), exact.detach())


@check
def unaligned_inputs(subject: Subject) -> None:
    for kind, channels in itertools.product(("conv2d", "conv_transpose2d"), (16, 4)):
        case = make_case(kind, "per_sample", channels=(channels, 24), size=(6, 6), dtype=torch.float16, **K4S2)
        plain, unaligned = subject.call(case), subject.call(case, unaligned=True)
        for one, other in zip(subject.run(plain), subject.run(unaligned), strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=0)


@check
def what_is_not_finite(subject: Subject) -> None:
    """At the places where torch has it: NaN and infinities pass the prologue and reach the outputs that read them."""
    for activation in ("leaky_relu", "relu", "none"):
        case = make_case("conv2d", "bare", activation, channels=(16, 8), size=(8, 8), dtype=torch.float16, **K4S2)
        x = case.tensors[0].detach().clone()
        x[0, 0, 1, 1], x[0, 3, 6, 6], x[1, 5, 2, 6] = float("nan"), float("inf"), float("-inf")
        case = case._replace(tensors=(x, *case.tensors[1:]))
        y, *_ = subject.run(subject.call(case, statistics=False))
        assert torch.equal(y.isfinite(), case.by_reference()[0].isfinite())
