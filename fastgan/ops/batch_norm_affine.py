"""The operator fastgan::batch_norm_affine: a batch norm's two vectors in one launch. No maths.

On a CPU the composition in stock torch's pieces is as good, and it is what runs under every backend but `triton`.
"""

from __future__ import annotations

import importlib

import torch
from torch import Tensor

from fastgan import backends
from fastgan.reference import batch_norm_affine as reference

_NAME = "batch_norm_affine"
backends.register(_NAME, {"triton": frozenset({torch.float32})}, auto={})
torch.library.define(
    f"fastgan::{_NAME}",
    "(Tensor mean, Tensor var, Tensor? weight, Tensor? bias, float eps, SymInt count) -> "
    "(Tensor scale, Tensor shift, Tensor unbiased)",
)
torch.library.define(
    f"fastgan::{_NAME}_backward",
    "(Tensor? grad_scale, Tensor? grad_shift, Tensor mean, Tensor var, Tensor? weight, float eps) -> "
    "(Tensor, Tensor, Tensor, Tensor)",
)


def batch_norm_affine(
    mean: Tensor, var: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, count: int
) -> tuple[Tensor, Tensor, Tensor]:
    """scale and shift as of the definition, and the unbiased variance [C] of `count` numbers, detached.

    count: 0 where var is the unbiased variance already, as running statistics are.
    """
    if _in_one_launch(mean):
        return torch.ops.fastgan.batch_norm_affine(mean, var, weight, bias, eps, count)
    unbiased = var.detach()
    return *reference.batch_norm_affine(mean, var, weight, bias, eps), unbiased * _correction(
        count
    ) if count else unbiased


def _in_one_launch(mean: Tensor) -> bool:
    wanted = backends.current()
    if wanted == "auto":
        wanted = backends.choose(_NAME, mean.device.type, mean.dtype)
    return wanted == "triton"


def _correction(count: int) -> float:
    """From the mean of squares to the unbiased variance; 0 stands for a variance that is the latter already."""
    return count / (count - 1) if count else 1.0


def _triton():
    # Here, because fastgan must import where triton is not installed.
    return importlib.import_module("fastgan.kernels.batch_norm_affine")


@torch.library.impl(f"fastgan::{_NAME}", ("cpu", "cuda"))
def _run(mean: Tensor, var: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, count: int):
    backend = backends.choose(_NAME, mean.device.type, mean.dtype)
    if backend == "triton":
        results = _triton().batch_norm_affine(mean, var, weight, bias, eps, count)
    else:
        results = _define(mean, var, weight, bias, eps, count)
    backends.note_ran(_NAME, backend)
    return results


@torch.library.register_fake(f"fastgan::{_NAME}")
def _define(mean: Tensor, var: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, count: int):
    return *reference.batch_norm_affine(mean, var, weight, bias, eps), var * _correction(count)


@torch.library.impl(f"fastgan::{_NAME}_backward", ("cpu", "cuda"))
def _run_backward(grad_scale, grad_shift, mean: Tensor, var: Tensor, weight: Tensor | None, eps: float):
    backend = backends.choose(_NAME, mean.device.type, mean.dtype)
    if backend == "triton":
        results = _triton().batch_norm_affine_backward(grad_scale, grad_shift, mean, var, weight, eps)
    else:
        results = _define_backward(grad_scale, grad_shift, mean, var, weight, eps)
    backends.note_ran(f"{_NAME}_backward", backend)
    return results


@torch.library.register_fake(f"fastgan::{_NAME}_backward")
def _define_backward(grad_scale, grad_shift, mean: Tensor, var: Tensor, weight: Tensor | None, eps: float):
    *results, dbias = reference.batch_norm_affine_backward(grad_scale, grad_shift, mean, var, weight, eps)
    return *results, dbias.clone()


def _save(ctx, inputs, output) -> None:
    mean, var, weight, bias, ctx.eps, _ = inputs
    ctx.save_for_backward(mean, var, weight)
    ctx.like = [each if each is None else (each.shape, each.dtype) for each in (weight, bias)]
    ctx.mark_non_differentiable(output[2])
    ctx.set_materialize_grads(False)


def _backward(ctx, grad_scale: Tensor | None, grad_shift: Tensor | None, _):
    if grad_scale is None and grad_shift is None:
        return (None,) * 6
    # Where the derivatives will be differentiated again they are the definition's.
    call = (
        reference.batch_norm_affine_backward
        if torch.is_grad_enabled()
        else torch.ops.fastgan.batch_norm_affine_backward
    )
    dmean, dvar, *rest = call(grad_scale, grad_shift, *ctx.saved_tensors, ctx.eps)
    affine = [
        None if like is None else each.sum_to_size(like[0] if len(like[0]) == 2 else (1, *like[0])).view(like[0])
        for each, like in zip(rest, ctx.like, strict=True)
    ]
    affine = [None if like is None else each.to(like[1]) for each, like in zip(affine, ctx.like, strict=True)]
    return dmean, dvar, *affine, None, None


torch.library.register_autograd(f"fastgan::{_NAME}", _backward, setup_context=_save)
