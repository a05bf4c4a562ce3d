"""Batch norm as a module keeps it: its buffers, its running statistics, and affine maps chosen by class."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastgan import functional

__all__ = [
    "ConditionalBatchNorm1d",
    "ConditionalBatchNorm2d",
    "batch_norm_arguments",
    "update_running_statistics",
]


class _Conditional:
    """Mixin over torch's batch norms: weight and bias are tables [num_classes, C], read by label.

    forward(input, c): input [N, C] or [N, C, H, W], c int64 [N] with values in [0, num_classes).
    """

    def __init__(
        self,
        num_features: int,
        num_classes: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ):
        if num_classes < 1:
            raise ValueError(f"{type(self).__name__}: num_classes must be at least 1, got {num_classes}")
        super().__init__(num_features, eps, momentum, affine=False, device=device, dtype=dtype)
        self.num_classes = num_classes
        like = {"device": self.running_mean.device, "dtype": self.running_mean.dtype}
        self.weight = nn.Parameter(torch.ones(num_classes, self.num_features, **like))
        self.bias = nn.Parameter(torch.zeros(num_classes, self.num_features, **like))

    def forward(self, input: Tensor, c: Tensor) -> Tensor:
        result = functional.batch_norm_act(input, **batch_norm_arguments(self, c), activation="none")
        update_running_statistics(self, result.mean, result.var)
        return result.output

    def extra_repr(self) -> str:
        return f"{self.num_features}, num_classes={self.num_classes}, eps={self.eps}, momentum={self.momentum}"


class ConditionalBatchNorm1d(_Conditional, nn.BatchNorm1d):
    """Batch norm over [N, C] with one affine map per class (Dumoulin et al., 2017)."""


class ConditionalBatchNorm2d(_Conditional, nn.BatchNorm2d):
    """Batch norm over [N, C, H, W] with one affine map per class (Dumoulin et al., 2017)."""


def batch_norm_arguments(bn: nn.Module, c: Tensor | None = None) -> dict[str, Any]:
    """What `fastgan.functional` needs of a batch norm module, read at every call so that its flags count.

    c: int64 [N], needed by a conditional batch norm and refused by any other (ValueError).
    """
    weight, bias = bn.weight, bn.bias
    if isinstance(bn, _Conditional):
        if c is None:
            raise ValueError(f"{type(bn).__name__}: c must be int64 [N] for {bn.num_classes} classes, got None")
        weight, bias = F.embedding(c, weight), F.embedding(c, bias)  # [N, C]
    elif c is not None:
        raise ValueError(f"{type(bn).__name__}: c must be None without classes, got {list(c.shape)}")
    return {
        "bn_weight": weight,
        "bn_bias": bias,
        "running_mean": bn.running_mean,
        "running_var": bn.running_var,
        "training": bn.training or bn.running_mean is None,
        "eps": bn.eps,
    }


@torch.no_grad()
def update_running_statistics(bn: nn.Module, mean: Tensor, var: Tensor) -> None:
    """Mix a batch's mean and unbiased variance [C] into the buffers as torch does.

    Does nothing in evaluation or without buffers. momentum None is the plain mean of all batches so far.
    """
    if not bn.training or not bn.track_running_stats or bn.running_mean is None:
        return
    bn.num_batches_tracked.add_(1)
    buffers, seen = [bn.running_mean, bn.running_var], [mean, var]
    seen = [new.to(old.dtype) for new, old in zip(seen, buffers, strict=True)]
    if bn.momentum is None:
        share = 1.0 / bn.num_batches_tracked.to(bn.running_mean.dtype)  # a tensor: no wait for the device
        for old, new in zip(buffers, seen, strict=True):
            old.lerp_(new, share)
    else:
        torch._foreach_lerp_(buffers, seen, bn.momentum)
