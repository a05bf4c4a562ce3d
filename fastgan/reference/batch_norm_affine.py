"""Reference of `batch_norm_affine`: batch norm as the two vectors that the next convolution reads; in stock torch."""

from __future__ import annotations

import torch
from torch import Tensor


def batch_norm_affine(
    mean: Tensor, var: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor]:
    """scale = weight / sqrt(var + eps), shift = bias - mean * scale, [1 or N, C] in the dtype of the statistics.

    mean, var: [C], float32 or float64. weight, bias: [C], or [N, C] for one affine map per sample, or None for 1 and 0.
    Differentiable to any order.
    """
    scale = (var + eps).rsqrt()
    if weight is not None:
        scale = scale * weight.to(scale.dtype)
    shift = -mean * scale
    if bias is not None:
        shift = shift + bias.to(shift.dtype)
    scale, shift = (each if each.ndim == 2 else each.unsqueeze(0) for each in (scale, shift))
    return scale if scale.shape == shift.shape else scale.expand_as(shift).clone(), shift


def batch_norm_affine_backward(
    grad_scale: Tensor | None, grad_shift: Tensor | None, mean: Tensor, var: Tensor, weight: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients for (mean, var, weight, bias) from those for scale and shift [1 or N, C], None for zero (not both).

    With r = 1 / sqrt(var + eps), w the weight and u = grad_scale - mean * grad_shift, sums over the rows:

        dweight = u r      dbias = grad_shift      dmean = -sum grad_shift w r      dvar = -r^3 / 2 sum u w

    dweight and dbias are [1 or N, C]. Differentiable to any order.
    """
    some = grad_scale if grad_scale is not None else grad_shift
    grad_scale, grad_shift = (torch.zeros_like(some) if each is None else each for each in (grad_scale, grad_shift))
    w = torch.ones_like(mean) if weight is None else weight.to(mean.dtype)
    r = (var + eps).rsqrt()
    u = grad_scale - mean * grad_shift
    return -(grad_shift * w * r).sum(0), -0.5 * r.pow(3) * (u * w).sum(0), u * r, grad_shift
