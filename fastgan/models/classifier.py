"""A small image classifier: the yardstick of studies and the features of KID."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fastgan.models.initialise import from_seed, from_torch, initialise
from fastgan.nn import ConvBnAct2d
from fastgan.noise import Stream

__all__ = ["SmallClassifier"]

_LARGE = 48  # from this shorter side on the first convolution has stride 2, to keep the cost of an image down


class SmallClassifier(nn.Module):
    """Three blocks of 3x3 convolution, batch norm, ReLU (2x2 max pooling between), global average, head.

    size: (height, width), both at least 8; channels: 1 to 4; num_classes: at least 2; width: channels of
    the first block, doubled by each of the next two. `config` rebuilds it: `SmallClassifier(**m.config)`.
    """

    def __init__(self, size: Sequence[int], channels: int, num_classes: int, width: int = 32):
        super().__init__()
        height, map_width = size
        if min(height, map_width) < 8:
            raise ValueError(f"SmallClassifier: size must be at least 8x8, got {height}x{map_width}")
        if num_classes < 2:
            raise ValueError(f"SmallClassifier: num_classes must be at least 2, got {num_classes}")
        self.size = (height, map_width)
        self.channels = channels
        self.num_classes = num_classes
        self.width = width
        block = {"kernel_size": 3, "padding": 1, "bias": False, "activation": "relu"}
        self.main = nn.Sequential(
            ConvBnAct2d(channels, width, stride=2 if min(self.size) >= _LARGE else 1, **block),
            nn.MaxPool2d(2),
            ConvBnAct2d(width, 2 * width, **block),
            nn.MaxPool2d(2),
            ConvBnAct2d(2 * width, 4 * width, **block),
        )
        self.head = nn.Linear(4 * width, num_classes)
        initialise(self, from_torch, law="classifier")

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments as JSON values."""
        return {
            "size": list(self.size),
            "channels": self.channels,
            "num_classes": self.num_classes,
            "width": self.width,
        }

    def init_weights(self, seed: int) -> SmallClassifier:
        """Start again from weights that are a function of the seed alone (stream CLASSIFIER)."""
        initialise(self, from_seed(seed, Stream.CLASSIFIER), law="classifier")
        return self

    def forward(self, x: Tensor) -> Tensor:
        """x [N, C, H, W] in [-1, 1] to logits [N, num_classes]."""
        return self.head(self._pooled(x))

    def features(self, x: Tensor) -> Tensor:
        """The head's input for x [N, C, H, W]: float32 [N, 4 * width]. In evaluation a fixed function."""
        return self._pooled(x).to(torch.float32)

    def _pooled(self, x: Tensor) -> Tensor:
        if x.ndim != 4 or tuple(x.shape[1:]) != (self.channels, *self.size):
            height, width = self.size
            expected = f"[N, C={self.channels}, H={height}, W={width}]"
            raise ValueError(f"SmallClassifier: x must be {expected}, got {list(x.shape)}")
        return self.main(x).mean((2, 3))
