"""The operator fastgan::affine_act: schema, fake, autograd, the choice of the backend. No maths.

It materialises a feature map at the end of a chain, or where someone else looks at it. Saved are its arguments.
"""

import torch
from torch import Tensor

from fastgan import backends
from fastgan.ops.affine_act_conv import check_activation, checked_affine
from fastgan.reference import affine_act as reference

_NAME = "affine_act"
_LEAVES = {"reference": reference.affine_act}
backends.register(_NAME, {}, auto={})

torch.library.define(
    f"fastgan::{_NAME}",
    "(Tensor input, Tensor? scale, Tensor? shift, str activation, float negative_slope) -> Tensor",
)
_call = torch.ops.fastgan.affine_act.default


def affine_act(
    input: Tensor, scale: Tensor | None, shift: Tensor | None, activation: str, negative_slope: float
) -> Tensor:
    """act(scale * input + shift) of `fastgan.reference.affine_act` on the chosen backend, a new tensor.

    input: [N, C, ...]; scale, shift: [1 or N, C] or None; activation: "none", "leaky_relu", "relu" or "tanh".
    Raises ValueError or TypeError where an argument does not fit.
    """
    if input.ndim < 2:
        raise ValueError(f"{_NAME}: input must be [N, C, ...], got {list(input.shape)}")
    if not input.is_floating_point():
        raise TypeError(f"{_NAME}: input must have a floating dtype, got {str(input.dtype).removeprefix('torch.')}")
    check_activation(_NAME, activation, negative_slope, reference.ACTIVATIONS)
    return _call(input, *checked_affine(_NAME, input, scale, shift), activation, negative_slope)


@torch.library.impl(f"fastgan::{_NAME}", ("cpu", "cuda"))
def _run(input: Tensor, *arguments) -> Tensor:
    backend = backends.choose(_NAME, input.device.type, input.dtype)
    result = _new(_LEAVES[backend](input, *arguments), input)
    backends.note_ran(_NAME, backend)
    return result


@torch.library.register_fake(f"fastgan::{_NAME}")
def _fake(input: Tensor, *arguments) -> Tensor:
    return _new(reference.affine_act(input, *arguments), input)


def _new(result: Tensor, input: Tensor) -> Tensor:
    """An operator must not return its argument."""
    return result.clone() if result is input else result


def _save(ctx, inputs, output) -> None:
    input, scale, shift, ctx.activation, ctx.negative_slope = inputs
    keep_input = reference.reads_input(ctx.activation, ctx.needs_input_grad[:3])
    ctx.save_for_backward(input if keep_input else None, scale, shift)


def _backward(ctx, grad_output: Tensor):
    options = ctx.activation, ctx.negative_slope
    gradients = reference.affine_act_backward(grad_output, *ctx.saved_tensors, *options, ctx.needs_input_grad[:3])
    return *gradients, None, None


torch.library.register_autograd(f"fastgan::{_NAME}", _backward, setup_context=_save)
