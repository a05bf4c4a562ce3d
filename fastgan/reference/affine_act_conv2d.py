"""affine_act_conv2d, the definition: convolution of act(scale * x + shift), with statistics, in stock torch."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from fastgan.reference.affine_act import affine_act
from fastgan.reference.channel_statistics import channel_statistics, no_statistics


def affine_act_conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    scale: Tensor | None,
    shift: Tensor | None,
    activation: str,
    negative_slope: float,
    stride: Sequence[int],
    padding: Sequence[int],
    statistics: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:
    """1. z = `affine_act` of input; 2. y = conv2d(z, weight) + bias; 3. `channel_statistics`, before bias.

    input: [N, C_in, H, W]; weight: [C_out, C_in, kH, kW]; bias: [C_out] or None, all in one dtype.
    scale, shift: [1 or N, C_in] or None. activation: "none", "leaky_relu" or "relu".
    The padding is of z: a tap outside the image contributes 0, whatever act(shift) is.
    Returns (y [N, C_out, H_out, W_out], mean [C_out], var [C_out]); mean and var are [0] without `statistics`.
    Differentiable to any order.
    """
    z = affine_act(input, scale, shift, activation, negative_slope)
    y = F.conv2d(z, weight, bias, stride, padding)
    return y, *(channel_statistics(y, bias) if statistics else no_statistics(y))
