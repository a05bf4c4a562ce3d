"""Reference of `linear_bn_act`: linear map, batch norm and activation in stock torch."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from fastgan.reference.batch_norm_act import batch_norm_act


def linear_bn_act(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    bn_weight: Tensor | None,
    bn_bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    eps: float,
    activation: str,
    negative_slope: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """1. `F.linear`; 2. `batch_norm_act` of its output.

    Arguments and results are those of these two and of `fastgan.functional.linear_bn_act`.
    """
    output = F.linear(input, weight, bias)
    return batch_norm_act(
        output, bn_weight, bn_bias, running_mean, running_var, training, eps, activation, negative_slope
    )
