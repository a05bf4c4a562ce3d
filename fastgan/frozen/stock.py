"""A frozen generator in stock operators alone: what other runtimes are given."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fastgan.frozen.generator import FrozenGenerator
from fastgan.reference.frozen_generator import pixels, run

__all__ = ["StockGenerator", "stock_generator"]


class _Unlabelled(nn.Module):
    """z float32 [N, *input_shape] to images as the frozen generator gives them."""

    def __init__(self, frozen: FrozenGenerator):
        super().__init__()
        self.plan = frozen.plan
        self.output = frozen.output
        for name, tensor in zip(frozen.plan.names, frozen.tensors(), strict=True):
            self.register_buffer(name, tensor.detach().cpu())

    def forward(self, z: Tensor) -> Tensor:
        return self._run(z, None)

    def _run(self, z: Tensor, c: Tensor | None) -> Tensor:
        plan = self.plan
        if z.ndim == 4:
            z = z.permute(0, 2, 3, 1)
        tensors = [self.get_buffer(name) for name in plan.names]
        rows = run(z.flatten(1), c, tensors, plan.steps, torch.float32)
        return pixels(rows, plan.image, self.output) if len(plan.image) == 3 else rows


class _Labelled(_Unlabelled):
    """z and c int64 [N] to images."""

    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        return self._run(z, c)


StockGenerator = _Unlabelled | _Labelled


def stock_generator(frozen: FrozenGenerator) -> StockGenerator:
    """A module of stock operators on the CPU that computes what `frozen` does, but for rounding."""
    return (_Labelled if frozen.num_classes else _Unlabelled)(frozen).eval()
