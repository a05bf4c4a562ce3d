"""The operators fastgan::affine_act_conv_transpose2d and its _backward: which of the triple, which arguments."""

from collections.abc import Sequence

from torch import Tensor

from fastgan.ops import affine_act_conv as chain
from fastgan.ops import checks
from fastgan.ops.conv_triple import conv2d, conv2d_weight_grad, conv_transpose2d
from fastgan.reference import affine_act_conv_transpose2d as reference
from fastgan.reference.affine_act_conv import Convolution


def _convolution(at: chain.Geometry) -> Convolution:
    return Convolution(
        forward=lambda z, w: conv_transpose2d(z, w, at.output_size, at.stride, at.padding),
        input_grad=lambda dy, w: conv2d(dy, w, at.stride, at.padding),
        weight_grad=lambda z, dy: conv2d_weight_grad(dy, z, at.kernel_size, at.stride, at.padding),
    )


_OP = chain.ChainOperator("affine_act_conv_transpose2d", True, _convolution, reference.affine_act_conv_transpose2d)
_call = chain.register(_OP, extra=", int[2] output_padding")


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
    statistics: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:
    """(y, mean, var) of `fastgan.reference.affine_act_conv_transpose2d` on the chosen backend.

    Raises ValueError or TypeError where an argument does not fit.
    """
    name = _OP.name
    scale, shift = checks.checked(_OP, input, weight, bias, scale, shift, activation, negative_slope)
    stride, padding = checks.pair(name, "stride", stride, 1), checks.pair(name, "padding", padding, 0)
    output_padding = checks.pair(name, "output_padding", output_padding, 0)
    if any(extra >= step for extra, step in zip(output_padding, stride, strict=True)):
        raise ValueError(f"{name}: output_padding must be smaller than stride {stride}, got {output_padding}")
    where = stride, padding, output_padding
    checks.check_output_size(name, input, chain.geometry_of(_OP, input, weight, *where).output_size)
    return _call(input, weight, bias, scale, shift, activation, negative_slope, *where, statistics)
