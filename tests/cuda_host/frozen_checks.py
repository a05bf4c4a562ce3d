"""What a frozen generator on CUDA has to get right, whoever runs it: on the host, emulated, or spoilt.

Every check takes a Subject and raises AssertionError, or whatever runs the kernels raises.
"""

import ctypes
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from support.tolerances import assert_as_good_as
from torch import Tensor

from fastgan.reference import affine_act as pointwise
from fastgan.reference import frozen_generator as reference
from fastgan.reference.frozen_generator import PRECISIONS, Activation, Affine, Convolution, Permutation

from .frozen_calls import Call, Plan
from .shim_checks import SCHEDULES, following


class Subject(Protocol):
    """Runs calls, in several orders of threads."""

    def call(self, plan: Plan, precision: str = "fp32", pixels: bool = False) -> Call: ...

    def run(self, call: Call, order: int = 0) -> Tensor:
        """The rows, float32 or uint8."""

    orders: int


class OnHost:
    """The launchers of a library; each order is a schedule."""

    orders = len(SCHEDULES)

    def __init__(self, library: ctypes.CDLL):
        self._library = library

    def call(self, *arguments, **options) -> Call:
        return Call(self._library, *arguments, **options)

    def run(self, call: Call, order: int = 0) -> Tensor:
        with following(SCHEDULES[order]):
            return call.run()


CHECKS: dict[str, Callable[[Subject], None]] = {}


def check(function: Callable[[Subject], None]) -> Callable[[Subject], None]:
    CHECKS[function.__name__] = function
    return function


def exact(plan: Plan) -> Tensor:
    """The rows in float64; NaN for images whose label no table has."""
    good = None if plan.c is None else (plan.c >= 0) & (plan.c < plan.classes)
    x = plan.z.double()
    for step in plan.steps:
        if isinstance(step, Affine):
            rows = torch.where(good, plan.c, 0) if step.classes else torch.zeros(len(x), dtype=torch.int64)
            scale, shift = (plan.tensors[place].double()[rows] for place in (step.scale, step.shift))
            maps = x.view(len(x), -1, step.channels)
            x = (scale[:, None] * maps + shift[:, None]).flatten(1)
        elif isinstance(step, Activation):
            x = pointwise.affine_act(x, None, None, step.kind, step.negative_slope)
        elif isinstance(step, Permutation):
            x = x[:, plan.tensors[step.index]]
        else:
            x = F.conv_transpose2d(
                x.view(-1, *step.source).permute(0, 3, 1, 2),
                plan.tensors[step.weight].double(),
                plan.tensors[step.bias].double(),
                step.stride,
                step.padding,
            )
            x = x.permute(0, 2, 3, 1).flatten(1)
    return x if good is None else torch.where(good[:, None], x, torch.nan)


def right(subject: Subject, plan: Plan, precision: str = "fp32") -> None:
    """Within the rule in every order, and pixels those of the numbers."""
    dtype, wanted = PRECISIONS[precision], exact(plan)
    spoilt = wanted.isnan()
    labels = None if plan.c is None else plan.c.clamp(0, plan.classes - 1)
    stock = reference.run(plan.z, labels, plan.tensors, plan.steps, dtype).masked_fill(spoilt, torch.nan)
    for order in range(subject.orders):
        numbers = subject.run(subject.call(plan, precision), order)
        assert_as_good_as(numbers.to(dtype), stock.to(dtype), wanted)
        pixels = subject.run(subject.call(plan, precision, pixels=True), order)
        by_numbers = numbers.add(1.0).mul(127.5).round().clamp(0.0, 255.0)
        assert torch.equal(pixels, by_numbers.nan_to_num(0.0).to(torch.uint8))


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def tables(channels: int, rows: int = 1) -> list[Tensor]:
    """scale and shift."""
    return [normal(rows, channels, seed=1), normal(rows, channels, seed=2)]


_ACTIVATIONS = Activation("leaky_relu", 0.3), Activation("tanh", 1.0), Activation("relu", 1.0)
_TYPES = "fp32", "fp16", "bf16"


def passes(images: int, size: int, channels: int, activation: Activation = _ACTIVATIONS[1]) -> Plan:
    """One affine map with its activation."""
    return Plan([Affine(0, 1, channels, 0), activation], tables(channels), normal(images, size, seed=0))


def permuted(images: int, size: int, channels: int, more: Sequence[reference.Step] = ()) -> Plan:
    """An affine map of the row before its numbers change places, `more` behind it."""
    index = torch.randperm(size, generator=torch.Generator().manual_seed(3))
    steps = [Affine(0, 1, channels, 0), Permutation(2, size), *more]
    return Plan(steps, [*tables(channels), index], normal(images, size, seed=0))


def labelled(images: int, size: int, channels: int, classes: int) -> Plan:
    """Tables by label; the second image's label is below them, the third's just beyond."""
    c = torch.arange(images) * 5 % classes
    c[1], c[2] = -1, classes
    steps = [Affine(0, 1, channels, classes), _ACTIVATIONS[0]]
    return Plan(steps, tables(channels, classes), normal(images, size, seed=0), c, classes)


@check
def whole_packs(subject: Subject) -> None:
    """Two blocks, the second one not full; every type of maps."""
    for precision, activation in zip(_TYPES, _ACTIVATIONS, strict=True):
        right(subject, passes(5, 480, 24, activation), precision)


@check
def single_numbers(subject: Subject) -> None:
    """Sizes that no pack divides, channels that none divides, and latents that are not aligned."""
    for precision in _TYPES:
        right(subject, passes(3, 30, 15), precision)
        right(subject, passes(3, 36, 6), precision)
        aligned = passes(3, 48, 16)
        moved = torch.empty(3 * 48 + 1)[1:].view(3, 48).copy_(aligned.z)
        right(subject, aligned._replace(z=moved), precision)


@check
def tables_by_label(subject: Subject) -> None:
    for precision in _TYPES:
        right(subject, labelled(6, 48, 24, 3), precision)
        right(subject, labelled(4, 9, 3, 4), precision)


@check
def permutations(subject: Subject) -> None:
    for precision in _TYPES:
        right(subject, permuted(3, 200, 40), precision)
        right(subject, permuted(3, 21, 7, [_ACTIVATIONS[0]]), precision)


@check
def places_outside_a_row(subject: Subject) -> None:
    """Are not followed: NaN there, and there alone."""
    plan = permuted(3, 32, 8)
    index = plan.tensors[2]
    index[3], index[8], index[31] = 32, -1, 33
    bad = torch.zeros(32, dtype=torch.bool)
    bad[[3, 8, 31]] = True
    for precision in _TYPES:
        rows = subject.run(subject.call(plan, precision))
        assert torch.equal(rows.isnan(), bad.expand(3, 32))


@check
def steps_that_wait_for_none(subject: Subject) -> None:
    """Affine maps and activations that cannot be taken together."""
    steps = [_ACTIVATIONS[0], Affine(0, 1, 8, 0), Affine(1, 0, 8, 0), _ACTIVATIONS[0], _ACTIVATIONS[1]]
    plan = permuted(3, 32, 8, steps)
    for precision in _TYPES:
        right(subject, plan, precision)


@check
def more_images_than_at_a_time(subject: Subject) -> None:
    right(subject, labelled(300, 12, 4, 3), "fp16")
    right(subject, permuted(259, 6, 3))


@check
def convolutions(subject: Subject) -> None:
    """Two, by label in front, with a tanh that the second cannot take; the last with one that it can."""
    first = Convolution(2, 3, (2, 3, 8), (4, 6, 8), (4, 4), (2, 2), (1, 1), True)
    second = Convolution(4, 5, (4, 6, 8), (8, 12, 3), (4, 4), (2, 2), (1, 1), True)
    tanh = _ACTIVATIONS[1]
    steps = [Affine(0, 1, 8, 3), _ACTIVATIONS[0], first, Affine(6, 7, 8, 0), tanh, second, tanh]
    weights = [normal(8, 8, 4, 4, seed=4) / 6, normal(8, seed=5), normal(8, 3, 4, 4, seed=6) / 6, normal(3, seed=7)]
    plan = labelled(4, 48, 8, 3)
    numbers = [*plan.tensors, *weights, *tables(8)]
    for precision in ("fp32", "fp16"):
        right(subject, plan._replace(steps=steps, tensors=numbers), precision)
