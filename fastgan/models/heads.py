"""Small models on top of a trained discriminator."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastgan.models.discriminator import Discriminator

__all__ = ["ClassifierHead"]


class ClassifierHead(nn.Module):
    """A linear classifier on what a discriminator has learnt.

    The activations at `taps` (all by default) are averaged over a grid of `grid` by `grid` cells, put
    side by side, standardised by a batch norm without parameters, and mapped to num_classes logits.

    The discriminator is copied and frozen, in evaluation mode for good; only `linear` trains:
    `torch.optim.Adam(head.linear.parameters())`.
    """

    def __init__(
        self,
        discriminator: Discriminator,
        num_classes: int,
        taps: Sequence[str] | None = None,
        grid: int = 2,
    ):
        super().__init__()
        if num_classes < 2:
            raise ValueError(f"ClassifierHead: num_classes must be at least 2, got {num_classes}")
        if grid < 1:
            raise ValueError(f"ClassifierHead: grid must be at least 1, got {grid}")
        self.discriminator = copy.deepcopy(discriminator).eval().requires_grad_(False)
        self.taps = tuple(discriminator.taps if taps is None else taps)
        self.grid = grid
        parameter = next(self.discriminator.parameters())
        like = {"device": parameter.device, "dtype": parameter.dtype}
        probe = torch.zeros(1, discriminator.channels, *discriminator.size, **like)
        num_features = self._pooled(probe).shape[1]
        self.standardise = nn.BatchNorm1d(num_features, affine=False, **like)
        self.linear = nn.Linear(num_features, num_classes, **like)

    def train(self, mode: bool = True) -> ClassifierHead:
        super().train(mode)
        self.discriminator.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """x [N, C, H, W] in [-1, 1] to logits [N, num_classes]."""
        return self.linear(self.features(x))

    def features(self, x: Tensor) -> Tensor:
        """The standardised input of `linear`: [N, F]."""
        return self.standardise(self._pooled(x))

    @torch.no_grad()
    def _pooled(self, x: Tensor) -> Tensor:
        maps = self.discriminator.features(x, self.taps)
        return torch.cat([F.adaptive_avg_pool2d(maps[tap], self.grid).flatten(1) for tap in self.taps], dim=1)
