"""What affine_act and gan_loss have to give on every backend: values, gradients and their derivatives, by name.

Run as a program, which has Triton's interpreter, it prints a JSON object: for each check None, or how it failed.
"""

import functools
import itertools
import json
import sys
import traceback
from collections.abc import Callable

import torch
from support.tolerances import assert_as_good_as
from torch import Tensor

from fastgan import backends, losses
from fastgan.ops.affine_act import affine_act, affine_act_uint8
from fastgan.reference import affine_act as pointwise
from fastgan.reference import gan_loss as reference

CHECKS: dict[str, Callable[[], None]] = {}
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
SLOPE = 0.3
ROWS = [(None, None), (1, 1), ("many", 1), (None, "many"), ("many", "many")]
# Name, shape, whether in NHWC memory.
MAPS = (
    ("nhwc", (2, 16, 6, 6), True),
    ("nhwc-3-channels", (2, 3, 8, 6), True),
    ("nhwc-odd", (3, 5, 7, 3), True),
    ("nhwc-one-image", (1, 136, 3, 5), True),
    ("nhwc-wide", (2, 1160, 2, 1), True),
    ("nchw", (2, 5, 8, 8), False),
    ("nchw-odd", (1, 3, 7, 9), False),
    ("nchw-tiles", (2, 2, 70, 70), False),
    ("vectors", (5, 33), False),
)
LOGITS = (("one", (1,), (1,)), ("odd", (7, 3), (1025,)), ("tiles", (2050,), (2047, 1)))


def _normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _held_against(ours: list[Tensor], stock: list[Tensor], exact: list[Tensor], terms: float) -> None:
    """The rule of the project; of a handful of sums, in which roundings cancel, 4 ulp of what was added up."""
    for actual, theirs, right in zip(ours, stock, exact, strict=True):
        if right.numel() < 100:
            bound = 4 * torch.finfo(actual.dtype).eps * max(1.0, terms)
            torch.testing.assert_close(actual.double(), right.double(), rtol=0, atol=bound)
        else:
            assert_as_good_as(actual, theirs, right)


def _tensors(shape, rows, dtype: torch.dtype, nhwc: bool) -> list[Tensor | None]:
    """x, scale and shift; scale * x + shift stays away from 0, where the activations have their corner."""
    scale, shift = (
        None if n is None else _normal(shape[0] if n == "many" else n, shape[1], seed=seed)
        for seed, n in enumerate(rows)
    )
    over = (..., *(None,) * (len(shape) - 2))
    v = _normal(*shape, seed=2)
    v = v.sign() * (0.3 + v.abs())
    if shift is not None:
        v = v - shift[over]
    if scale is not None:
        scale = scale.sign() * (0.5 + scale.abs())
        v = v / scale[over]
    x = v.to(dtype)
    return [x.contiguous(memory_format=torch.channels_last) if nhwc else x, scale, shift]


def _gradients(value: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    """Zeros where `value` does not depend on an input."""
    if not value.requires_grad:
        return [torch.zeros_like(each) for each in inputs]
    return list(torch.autograd.grad(value, inputs, allow_unused=True, materialize_grads=True))


def _derivatives(function: Callable[..., Tensor], tensors: list[Tensor | None], up: Tensor) -> list[Tensor]:
    """z, its gradients, and the gradients of their products with fixed numbers."""
    leaves = [each if each is None else each.detach().clone().requires_grad_() for each in tensors]
    given = [each for each in leaves if each is not None]
    z = function(*leaves)
    first = torch.autograd.grad(z, given, up.to(z.dtype), create_graph=True)
    fixed = (_normal(*each.shape, seed=4).to(up.dtype).to(each.dtype) for each in first)
    second = _gradients(sum((each * numbers).sum() for each, numbers in zip(first, fixed, strict=True)), given)
    return [each.detach() for each in (z, *first, *second)]


def _affine_act(shape, nhwc: bool, rows, activation: str, dtype: torch.dtype) -> None:
    tensors, up = _tensors(shape, rows, dtype, nhwc), _normal(*shape, seed=3).to(dtype)
    wide = [each if each is None else each.double() for each in tensors]
    stock = functools.partial(_call, pointwise.affine_act, activation)
    pairs = (functools.partial(_call, affine_act, activation), tensors), (stock, tensors), (stock, wide)
    runs = [_derivatives(function, given, up) for function, given in pairs]
    terms = (up.double().abs() * wide[0].abs().clamp_min(1)).sum().item()
    _held_against(*runs, terms)
    if len(shape) == 4:
        stored = affine_act(*tensors, activation, SLOPE).float()
        expected = ((stored + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        assert torch.equal(affine_act_uint8(*tensors, activation, SLOPE), expected)


def _call(function: Callable[..., Tensor], activation: str, *tensors: Tensor | None) -> Tensor:
    return function(*tensors, activation, SLOPE)


def _every_affine_act(shape, nhwc: bool, activation: str, dtype: torch.dtype) -> None:
    for rows in ROWS:
        _affine_act(shape, nhwc, rows, activation, dtype)


def _losses(function: Callable, real: Tensor, fake: Tensor) -> list[Tensor]:
    """Both losses, their gradients, and the gradients of their products with fixed numbers."""
    leaves = [each.detach().clone().requires_grad_() for each in (real, fake)]
    d, g = function(*leaves)
    upstream = 0.7 * torch.ones_like(d), -1.9 * torch.ones_like(g)
    first = torch.autograd.grad((d, g), leaves, upstream, create_graph=True)
    fixed = (_normal(*each.shape, seed=4).to(real.dtype) for each in first)
    value = sum((each.double() * numbers).sum() for each, numbers in zip(first, fixed, strict=True)) * real.numel()
    return [each.detach() for each in (d, g, *first, *_gradients(value, leaves))]


def _gan_loss(family: str, real_shape, fake_shape, dtype: torch.dtype) -> None:
    fake_shape = real_shape if family in reference.PAIRED else fake_shape
    real, fake = (_normal(*shape, seed=seed).mul(3).to(dtype) for seed, shape in enumerate((real_shape, fake_shape)))

    def defined(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        return reference.discriminator_loss(real, fake, family), reference.generator_loss(real, fake, family)

    ours = _losses(lambda r, f: losses.gan_loss(r, f, family=family)[:2], real, fake)
    _held_against(ours, _losses(defined, real, fake), _losses(defined, real.double(), fake.double()), 2.0)
    statistics = torch.stack(losses.gan_loss(real, fake, family=family).statistics)
    torch.testing.assert_close(statistics, reference.statistics(real, fake), rtol=1e-5, atol=1e-6)


for (_name, _shape, _nhwc), _activation, _dtype in itertools.product(MAPS, pointwise.ACTIVATIONS, DTYPES):
    CHECKS[f"affine_act-{_name}-{_activation}-{_dtype}"] = functools.partial(
        _every_affine_act, _shape, _nhwc, _activation, DTYPES[_dtype]
    )
for (_name, _real, _fake), _family, _dtype in itertools.product(LOGITS, losses.FAMILIES, DTYPES):
    CHECKS[f"gan_loss-{_name}-{_family}-{_dtype}"] = functools.partial(_gan_loss, _family, _real, _fake, DTYPES[_dtype])


def main() -> None:
    """Every check on Triton."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)  # poisons fresh memory
    failures: dict[str, str | None] = {}
    for name, check in CHECKS.items():
        try:
            with backends.use_backend("triton"), backends.record() as runs:
                check()
            assert {run.backend for run in runs} == {"triton"}
            failures[name] = None
        except Exception:
            failures[name] = traceback.format_exc()
    json.dump(failures, sys.stdout)
