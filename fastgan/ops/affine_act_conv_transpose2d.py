"""The operator fastgan::affine_act_conv_transpose2d: schema, fake, autocast, autograd, the choice of the backend."""

from collections.abc import Sequence

import torch
from torch import Tensor

from fastgan import backends
from fastgan.ops import affine_act_conv as chain
from fastgan.ops.conv_triple import conv2d, conv2d_weight_grad
from fastgan.reference import affine_act_conv_transpose2d as reference

_NAME = "affine_act_conv_transpose2d"
_LEAVES = {"reference": reference.affine_act_conv_transpose2d}
backends.register(_NAME, {}, auto={})

torch.library.define(f"fastgan::{_NAME}", f"({chain.ARGUMENTS}, int[2] output_padding) -> {chain.RESULTS}")
_call = torch.ops.fastgan.affine_act_conv_transpose2d.default
_autocast = chain.register_autocast(_NAME, _call)


def affine_act_conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    scale: Tensor | None,
    shift: Tensor | None,
    activation: str,
    negative_slope: float,
    stride: int | Sequence[int],
    padding: int | Sequence[int],
    output_padding: int | Sequence[int],
) -> tuple[Tensor, Tensor, Tensor]:
    """(y, mean, var) of `fastgan.reference.affine_act_conv_transpose2d` on the chosen backend.

    Raises ValueError or TypeError where an argument does not fit.
    """
    scale, shift = chain.checked(_NAME, input, weight, bias, scale, shift, activation, negative_slope, transposed=True)
    stride, padding = chain.pair(_NAME, "stride", stride, 1), chain.pair(_NAME, "padding", padding, 0)
    output_padding = chain.pair(_NAME, "output_padding", output_padding, 0)
    if any(extra >= step for extra, step in zip(output_padding, stride, strict=True)):
        raise ValueError(f"{_NAME}: output_padding must be smaller than stride {stride}, got {output_padding}")
    sides = zip(input.shape[2:], weight.shape[2:], stride, padding, output_padding, strict=True)
    size = [(side - 1) * step - 2 * pad + k + extra for side, k, step, pad, extra in sides]
    chain.check_output_size(_NAME, input, size)
    return _call(input, weight, bias, scale, shift, activation, negative_slope, stride, padding, output_padding)


@torch.library.impl(f"fastgan::{_NAME}", ("cpu", "cuda"))
def _run(input: Tensor, *arguments) -> tuple[Tensor, Tensor, Tensor]:
    backend = backends.choose(_NAME, input.device.type, input.dtype)
    results = _LEAVES[backend](input, *arguments)
    backends.note_ran(_NAME, backend)
    return results


torch.library.register_fake(f"fastgan::{_NAME}", reference.affine_act_conv_transpose2d)


def _backward(ctx, *grads: Tensor | None):
    geometry = ctx.stride, ctx.padding
    gradients = chain.gradients(
        ctx,
        grads,
        input_grad=lambda dy, weight: conv2d(dy, weight, *geometry),
        weight_grad=lambda z, dy: conv2d_weight_grad(dy, z, ctx.kernel_size, *geometry),
    )
    return *gradients, None, None, None, None, None


torch.library.register_autograd(f"fastgan::{_NAME}", _backward, setup_context=chain.save)
