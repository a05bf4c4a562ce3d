"""affine_act_conv_transpose2d, the definition: transposed convolution of act(scale * x + shift), with statistics."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from fastgan.reference.affine_act import affine_act
from fastgan.reference.channel_statistics import channel_statistics, no_statistics


def affine_act_conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    scale: Tensor | None,
    shift: Tensor | None,
    activation: str,
    negative_slope: float,
    stride: Sequence[int],
    padding: Sequence[int],
    output_padding: Sequence[int],
    statistics: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:
    """1. z = `affine_act` of input; 2. y = conv_transpose2d(z, weight) + bias; 3. `channel_statistics`, before bias.

    input: [N, C_in, H, W]; weight: [C_in, C_out, kH, kW]; bias: [C_out] or None, all in one dtype.
    scale, shift: [1 or N, C_in] or None. activation: "none", "leaky_relu" or "relu".
    Returns (y [N, C_out, H_out, W_out], mean [C_out], var [C_out]), mean and var [0] without `statistics`;
    H_out = (H - 1) * stride - 2 * padding + kH + output_padding; an output that no tap reaches is the bias.
    Differentiable to any order.
    """
    z = affine_act(input, scale, shift, activation, negative_slope)
    y = F.conv_transpose2d(z, weight, bias, stride, padding, output_padding)
    return y, *(channel_statistics(y, bias) if statistics else no_statistics(y))
