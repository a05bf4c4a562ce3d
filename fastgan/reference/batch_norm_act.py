"""Reference of `batch_norm_act`: batch normalisation, affine map and activation in stock torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def batch_norm_act(
    input: Tensor,
    bn_weight: Tensor | None,
    bn_bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    eps: float,
    activation: str,
    negative_slope: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """1. normalise per channel; 2. times weight plus bias; 3. activate. No argument is changed.

    input: [N, C, ...]. bn_weight, bn_bias: [C], or [N, C] for one affine map per sample, or None.
    training: statistics of this batch (the running ones are not read), else running_mean and running_var [C].
    Returns (output, mean, var): in training the batch's mean and unbiased variance, not differentiable,
    else the running ones as given. Differentiable to any order in input, bn_weight and bn_bias.
    """
    if training:
        # ATen writes (1 - momentum) * old + momentum * new: with momentum 1 into zeros it hands out what it
        # measured, and its fused batch norm is used as it stands.
        dtype = torch.float32 if input.dtype in (torch.float16, torch.bfloat16) else input.dtype
        mean = input.new_zeros(input.shape[1], dtype=dtype)
        var = torch.zeros_like(mean)
    else:
        mean, var = running_mean, running_var
    if bn_weight is not None and bn_weight.ndim == 2:
        output = F.batch_norm(input, mean, var, None, None, training, 1.0, eps)
        output = _affine_per_sample(output, bn_weight, bn_bias)
    else:
        output = F.batch_norm(input, mean, var, bn_weight, bn_bias, training, 1.0, eps)
    return _activate_(output, activation, negative_slope), mean, var


def _affine_per_sample(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """weight[n, c] * x[n, c, ...] + bias[n, c], in the wider of the dtypes, returned in that of x."""
    shape = (*weight.shape, *(1,) * (x.ndim - 2))
    return torch.addcmul(bias.view(shape), x, weight.view(shape)).to(x.dtype)


def _activate_(x: Tensor, activation: str, negative_slope: float) -> Tensor:
    """The activation, written over x: x is always a fresh tensor that no derivative needs."""
    if activation == "leaky_relu":
        return F.leaky_relu(x, negative_slope, inplace=True)
    if activation == "relu":
        return F.relu(x, inplace=True)
    if activation == "tanh":
        return x.tanh_()
    return x
