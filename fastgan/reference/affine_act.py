"""affine_act, the definition: scale, shift and activation of feature maps and their gradients, in stock torch.

1. v = scale * x + shift, in float32 or wider where one of the two is given;
2. z = act(v), rounded once to the dtype of x.

scale and shift: [1, C] (one for all samples) or [N, C] (one per sample) in the statistics dtype, each alone
or None, which leaves its step out. act: "none", "leaky_relu", "relu" or "tanh". Everything here is a
composition of differentiable torch operations, so derivatives of any order are exact.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

ACTIVATIONS = ("none", "leaky_relu", "relu", "tanh")


def affine_act(
    input: Tensor, scale: Tensor | None, shift: Tensor | None, activation: str, negative_slope: float
) -> Tensor:
    """act(scale * input + shift) in the shape and dtype of input [N, C, ...]; `input` itself if nothing is done."""
    v = _affine(input, scale, shift)
    if activation == "leaky_relu":
        v = F.leaky_relu(v, negative_slope)
    elif activation == "relu":
        v = F.relu(v)
    elif activation == "tanh":
        v = torch.tanh(v)
    return v.to(input.dtype)


def affine_act_uint8(
    input: Tensor, scale: Tensor | None, shift: Tensor | None, activation: str, negative_slope: float
) -> Tensor:
    """`affine_act` of input [N, C, H, W], from -1 .. 1 to pixels uint8, channels_last in memory.

    (z + 1) * 127.5 in float32, half to even, cut to 0 .. 255.
    """
    z = affine_act(input, scale, shift, activation, negative_slope).to(torch.float32)
    pixels = z.add(1.0).mul_(127.5).round_().clamp_(0.0, 255.0).to(torch.uint8)
    return pixels.contiguous(memory_format=torch.channels_last)


def affine_act_backward(
    grad_output: Tensor,
    input: Tensor | None,
    scale: Tensor | None,
    shift: Tensor | None,
    activation: str,
    negative_slope: float,
    needed: tuple[bool, bool, bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Gradients for (input, scale, shift), None where not `needed`.

    With dz = grad_output and dv = dz * act'(scale * input + shift):
    dx = scale * dv;  dscale = sum of dv * input;  dshift = sum of dv, the sums over the image and, for [1, C],
    over the samples. act' of leaky_relu and relu at 0 is torch's: negative_slope and 0.
    input may be None where `reads_input` says so.
    """
    dv = activation_backward(grad_output, input, scale, shift, activation, negative_slope)
    dx = dscale = dshift = None
    if needed[0]:
        dx = (dv if scale is None else per_map(scale, dv) * dv).to(grad_output.dtype)
    if needed[1]:
        dscale = sum_to(dv * input, scale)
    if needed[2]:
        dshift = sum_to(dv, shift)
    return dx, dscale, dshift


def reads_input(activation: str, needed: tuple[bool, bool, bool]) -> bool:
    """Whether `affine_act_backward` with these arguments reads input."""
    return any(needed) and (activation != "none" or needed[1])


def widened(dtype: torch.dtype) -> torch.dtype:
    """The statistics dtype that goes with `dtype`: float64 for float64, float32 for the narrower ones."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def _affine(x: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
    if scale is not None and shift is not None:
        return per_map(scale, x) * x + per_map(shift, x)
    if scale is not None:
        return per_map(scale, x) * x
    return x if shift is None else x + per_map(shift, x)


def activation_backward(
    dz: Tensor,
    x: Tensor | None,
    scale: Tensor | None,
    shift: Tensor | None,
    activation: str,
    negative_slope: float,
) -> Tensor:
    """dz * act'(scale * x + shift), in the statistics dtype."""
    dz = dz.to(widened(dz.dtype))
    if activation == "none":
        return dz
    v = _affine(x, scale, shift).to(dz.dtype)
    if activation == "tanh":
        return torch.ops.aten.tanh_backward(dz, torch.tanh(v))
    # act' is constant on either side of 0: no derivative runs through v.
    if activation == "relu":
        return torch.ops.aten.threshold_backward(dz, v.detach(), 0)
    return torch.ops.aten.leaky_relu_backward(dz, v.detach(), negative_slope, False)


def per_map(vector: Tensor, x: Tensor) -> Tensor:
    """[1 or N, C] as [1 or N, C, 1, ...], to go with x [N, C, ...]."""
    return vector.reshape(*vector.shape, *(1,) * (x.ndim - 2))


def sum_to(x: Tensor, vector: Tensor) -> Tensor:
    """The sum of x [N, C, ...] over all that `vector` [1 or N, C] has one number for, in its shape."""
    dims = list(range(2, x.ndim))
    if vector.shape[0] == 1:
        dims.insert(0, 0)
    summed = x.sum(dims) if dims else x
    return summed.reshape(vector.shape).to(vector.dtype)
