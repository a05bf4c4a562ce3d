"""Checks of the launchers of affine_act and gan_loss, of a library of theirs, by name; each under every schedule."""

import ctypes
import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from fastgan.reference import affine_act as pointwise
from fastgan.reference import gan_loss as reference

from . import pass_calls
from .shim_checks import SCHEDULES, following

SLOPE = 0.3
CHECKS: dict[str, Callable[[ctypes.CDLL], None]] = {}


def check(function: Callable[[ctypes.CDLL], None]) -> Callable[[ctypes.CDLL], None]:
    CHECKS[function.__name__] = function
    return function


def _normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _tensors(shape, rows, nhwc: bool, dtype: torch.dtype = torch.float32) -> list[Tensor | None]:
    """x, scale, shift, dz."""
    vectors = [None if n is None else _normal(n, shape[1], seed=seed) for seed, n in enumerate(rows)]
    maps = [_normal(*shape, seed=seed).to(dtype) for seed in (2, 3)]
    if nhwc:
        maps = [each.contiguous(memory_format=torch.channels_last) for each in maps]
    return [maps[0], *vectors, maps[1]]


def _close(ours: Tensor, exact: Tensor) -> None:
    """Within the roundings of a sum of as many terms as these checks have."""
    allowed = 32 * torch.finfo(ours.dtype).eps * max(1.0, exact.abs().max().item())
    torch.testing.assert_close(ours.double(), exact.double(), rtol=0, atol=allowed)


def _forward(library: ctypes.CDLL, x, scale, shift, activation: str, pixels: bool = False) -> None:
    wide = [each if each is None else each.double() for each in (x, scale, shift)]
    for schedule in SCHEDULES:
        call = pass_calls.affine_act(x, scale, shift, activation, SLOPE, pixels)
        with following(schedule):
            z = call.run(library)["z"]
        if pixels:
            exact = pointwise.affine_act_uint8(x, scale, shift, activation, SLOPE)
            assert (z.int() - exact.int()).abs().max() <= 1
        else:
            _close(z, pointwise.affine_act(*wide, activation, SLOPE))


def _backward(library: ctypes.CDLL, x, scale, shift, dz, activation: str) -> None:
    needed = True, scale is not None, shift is not None
    wide = [each if each is None else each.double() for each in (dz, x, scale, shift)]
    exact = pointwise.affine_act_backward(*wide, activation, SLOPE, needed)
    for schedule in SCHEDULES:
        call = pass_calls.affine_act_backward(library, dz, x, scale, shift, activation, SLOPE)
        for memory in call.fresh:
            memory.fill_(float("nan"))
        with following(schedule):
            results = call.run(library)
        for key, right in zip(("dx", "ds", "dt"), exact, strict=True):
            if right is not None:
                _close(results[key], right)


@check
def values_in_nhwc(library):
    _forward(library, *_tensors((2, 16, 6, 6), (1, 1), True)[:3], "leaky_relu")


@check
def values_of_3_channels(library):
    for size in ((8, 6), (5, 3)):  # whole packs, and pixels that do not fill one
        _forward(library, *_tensors((2, 3, *size), (1, 1), True)[:3], "relu")


@check
def values_in_nchw(library):
    _forward(library, *_tensors((2, 5, 8, 8), (2, 1), False)[:3], "tanh")


@check
def pixels_in_nchw(library):
    _forward(library, *_tensors((2, 3, 8, 8), (1, 1), False)[:3], "tanh", pixels=True)


@check
def values_not_aligned(library):
    x, scale, shift, _ = _tensors((1, 16, 6, 6), (1, 1), True, torch.float16)
    moved = torch.empty(x.numel() + 1, dtype=x.dtype)[1:].view(1, 6, 6, 16).permute(0, 3, 1, 2)
    _forward(library, moved.copy_(x), scale, shift, "none")


@check
def gradients_in_nhwc(library):
    _backward(library, *_tensors((2, 16, 12, 12), (1, 1), True), "leaky_relu")
    _backward(library, *_tensors((2, 200, 5, 5), (1, 1), True), "none")


@check
def gradients_of_3_channels(library):
    _backward(library, *_tensors((2, 3, 8, 6), (1, 1), True), "leaky_relu")


@check
def gradients_by_image(library):
    _backward(library, *_tensors((3, 24, 3, 5), (3, 1), True), "leaky_relu")


@check
def gradients_in_nchw(library):
    _backward(library, *_tensors((2, 5, 16, 16), (1, 2), False), "tanh")


@check
def losses(library):
    real, fake = (_normal(1500, seed=seed) for seed in (0, 1))
    exact = reference.statistics(real.double(), fake.double())
    d_loss = reference.discriminator_loss(real.double(), fake.double(), "hinge")
    for schedule in SCHEDULES:
        call = pass_calls.gan_loss(real, fake, "hinge")
        for memory in call.fresh:
            memory.fill_(float("nan"))
        with following(schedule):
            results = call.run(library)
        _close(results["statistics"], exact)
        _close(results["d_loss"], d_loss)


@check
def losses_not_aligned(library):
    """One logit behind 16 bytes: the bits of the same logits where packs can be read, also of the sums."""
    for dtype, family in itertools.product((torch.float32, torch.float16, torch.float64), ("non_saturating", "rpgan")):
        logits = [_normal(1500, seed=seed).to(dtype) for seed in (0, 1)]
        moved = [torch.cat((each[:1], each))[1:] for each in logits]
        wanted = pass_calls.gan_loss(*logits, family).run(library)
        found = pass_calls.gan_loss(*moved, family).run(library)
        assert all(found[key] is None or torch.equal(found[key], wanted[key]) for key in wanted)
