"""Reference of `conv2d_bn_act`: convolution, batch norm and activation in stock torch."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from fastgan.reference.batch_norm_act import batch_norm_act


def conv2d_bn_act(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: int | tuple[int, int],
    padding: int | tuple[int, int] | str,
    dilation: int | tuple[int, int],
    groups: int,
    bn_weight: Tensor | None,
    bn_bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    eps: float,
    activation: str,
    negative_slope: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """1. `F.conv2d`; 2. `batch_norm_act` of its output.

    Arguments and results are those of these two and of `fastgan.functional.conv2d_bn_act`.
    """
    output = F.conv2d(input, weight, bias, stride, padding, dilation, groups)
    return batch_norm_act(
        output, bn_weight, bn_bias, running_mean, running_var, training, eps, activation, negative_slope
    )
