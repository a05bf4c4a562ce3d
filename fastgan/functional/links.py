"""What a chain of blocks is cut into: a convolution that takes what is pending before it, and a chain's ends."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from fastgan.ops.affine_act import affine_act as _affine_act
from fastgan.ops.affine_act import affine_act_uint8 as _affine_act_uint8
from fastgan.ops.affine_act_conv2d import affine_act_conv2d as _affine_act_conv2d
from fastgan.ops.affine_act_conv_transpose2d import affine_act_conv_transpose2d as _affine_act_conv_transpose2d

__all__ = ["ChainOutput", "affine_act", "affine_act_conv2d", "affine_act_conv_transpose2d", "affine_act_uint8"]


class ChainOutput(NamedTuple):
    """What a convolution that is cut out of a chain returns; all three are differentiable to any order.

    output: [N, C_out, H_out, W_out], raw: not normalised, not activated.
    mean, var: [C_out] of the output before the bias, var biased, float32 or wider; None if they were not asked for.
    """

    output: Tensor
    mean: Tensor | None
    var: Tensor | None


def affine_act_conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    scale: Tensor | None = None,
    shift: Tensor | None = None,
    *,
    activation: str = "none",
    negative_slope: float = 0.01,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    statistics: bool = True,
) -> ChainOutput:
    """conv2d of act(scale * input + shift), and the statistics of the result (docs/ops.md).

    input: [N, C_in, H, W], the raw output of the convolution before; weight: [C_out, C_in, kH, kW]; scale, shift:
    [1 or N, C_in], batch norm as numbers; activation: "none", "relu" or "leaky_relu" with negative_slope in [0, 1].
    Padding is 0 after the activation. statistics: whether a batch norm will want mean and var.
    Raises ValueError or TypeError, in one sentence, for what does not fit.
    """
    pending = scale, shift, activation, negative_slope
    return _chain_output(
        *_affine_act_conv2d(input, weight, bias, *pending, stride, padding, statistics), wanted=statistics
    )


def affine_act_conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    scale: Tensor | None = None,
    shift: Tensor | None = None,
    *,
    activation: str = "none",
    negative_slope: float = 0.01,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    output_padding: int | tuple[int, int] = 0,
    statistics: bool = True,
) -> ChainOutput:
    """conv_transpose2d of act(scale * input + shift), and the statistics of the result.

    weight: [C_in, C_out, kH, kW]; the rest as in `affine_act_conv2d`.
    """
    pending = scale, shift, activation, negative_slope
    geometry = stride, padding, output_padding
    return _chain_output(
        *_affine_act_conv_transpose2d(input, weight, bias, *pending, *geometry, statistics), wanted=statistics
    )


def affine_act(
    input: Tensor,
    scale: Tensor | None = None,
    shift: Tensor | None = None,
    *,
    activation: str = "none",
    negative_slope: float = 0.01,
) -> Tensor:
    """act(scale * input + shift), a new tensor: where a chain ends or somebody looks at it.

    input: [N, C, H, W]; scale, shift: [1 or N, C]; activation: "none", "relu", "leaky_relu" or "tanh".
    """
    return _affine_act(input, scale, shift, activation, negative_slope)


def affine_act_uint8(
    input: Tensor,
    scale: Tensor | None = None,
    shift: Tensor | None = None,
    *,
    activation: str = "tanh",
    negative_slope: float = 0.01,
) -> Tensor:
    """Pixels uint8 [N, H, W, C] of act(scale * input + shift), which is cut to [-1, 1]: the end of a generator.

    Value z becomes (z + 1) * 127.5 in float32, half to even. Arguments as in `affine_act`; without derivative.
    """
    return _affine_act_uint8(input, scale, shift, activation, negative_slope).permute(0, 2, 3, 1)


def _chain_output(output: Tensor, mean: Tensor, var: Tensor, wanted: bool) -> ChainOutput:
    return ChainOutput(output, mean, var) if wanted else ChainOutput(output, None, None)
