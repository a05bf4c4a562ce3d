"""The operators fastgan::affine_act_conv2d and affine_act_conv2d_backward: which of the triple, which arguments."""

from collections.abc import Sequence

from torch import Tensor

from fastgan.ops import affine_act_conv as chain
from fastgan.ops import checks
from fastgan.ops.conv_triple import conv2d, conv2d_weight_grad, conv_transpose2d
from fastgan.reference import affine_act_conv2d as reference
from fastgan.reference.affine_act_conv import Convolution


def _convolution(at: chain.Geometry) -> Convolution:
    return Convolution(
        forward=lambda z, w: conv2d(z, w, at.stride, at.padding),
        input_grad=lambda dy, w: conv_transpose2d(dy, w, at.input_size, at.stride, at.padding),
        weight_grad=lambda z, dy: conv2d_weight_grad(z, dy, at.kernel_size, at.stride, at.padding),
    )


_OP = chain.ChainOperator("affine_act_conv2d", False, _convolution, reference.affine_act_conv2d)
_call = chain.register(_OP)


def affine_act_conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    scale: Tensor | None,
    shift: Tensor | None,
    activation: str,
    negative_slope: float,
    stride: int | Sequence[int],
    padding: int | Sequence[int],
    statistics: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:
    """(y, mean, var) of `fastgan.reference.affine_act_conv2d` on the chosen backend.

    Raises ValueError or TypeError where an argument does not fit.
    """
    scale, shift = checks.checked(_OP, input, weight, bias, scale, shift, activation, negative_slope)
    stride, padding = checks.pair(_OP.name, "stride", stride, 1), checks.pair(_OP.name, "padding", padding, 0)
    checks.check_output_size(_OP.name, input, chain.geometry_of(_OP, input, weight, stride, padding).output_size)
    return _call(input, weight, bias, scale, shift, activation, negative_slope, stride, padding, statistics)
