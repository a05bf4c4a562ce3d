"""Preset `keras`: the layers of the Keras DCGAN, for any size, with labels where there are classes.

Generator: Linear -> BN -> LeakyReLU(0.3) -> first map [width * 2^(k-1)], then k transposed 4x4
convolutions of stride 2, each half as wide as the one before, with BN and LeakyReLU(0.3); the last gives
the channels, and tanh. Discriminator: max(2, k - 1) 4x4 convolutions of stride 2 (width, doubling, at
most 8 * width) with LeakyReLU(0.3) and no batch norm, then a linear logit. At 64x64 and width 64: z ->
4x4x512 -> 256 -> 128 -> 64 -> image, and 64 -> 128 -> 256 -> logit. BN: eps 1e-3, momentum 0.01 (0.99 in
Keras's sense). Maps are flattened in the order H, W, C, as Keras does.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from fastgan.models.sizes import doublings
from fastgan.nn import ConvTransposeBnAct2d, LinearBnAct

__all__ = ["FlattenNHWC", "UnflattenNHWC", "discriminator_layers", "generator_layers"]

_SLOPE = 0.3
_CONV = {"kernel_size": 4, "stride": 2, "padding": 1}


class UnflattenNHWC(nn.Module):
    """[N, H * W * C] to [N, C, H, W], a view: channels_last in memory."""

    def __init__(self, height: int, width: int):
        super().__init__()
        self.height = height
        self.width = width

    def forward(self, input: Tensor) -> Tensor:
        return input.view(input.shape[0], self.height, self.width, -1).permute(0, 3, 1, 2)

    def extra_repr(self) -> str:
        return f"{self.height}, {self.width}"


class FlattenNHWC(nn.Module):
    """[N, C, H, W] to [N, H * W * C]; without a copy where the input is channels_last in memory."""

    def forward(self, input: Tensor) -> Tensor:
        return input.permute(0, 2, 3, 1).flatten(1)


def generator_layers(
    size: tuple[int, int], channels: int, z_dim: int, width: int, num_classes: int
) -> tuple[nn.Sequential, dict[str, int]]:
    """The chain from z [N, z_dim] to the image [N, C, H, W], and its taps."""
    k, (height, map_width) = doublings(size)
    block = {
        "bias": False,
        "eps": 1e-3,
        "momentum": 0.01,
        "activation": "leaky_relu",
        "negative_slope": _SLOPE,
        "num_classes": num_classes,
    }
    features = width << (k - 1)
    layers = OrderedDict(
        input=LinearBnAct(z_dim, height * map_width * features, **block),
        unflatten=UnflattenNHWC(height, map_width),
    )
    taps = {"input": 1}
    for i in range(1, k):
        layers[f"up{i}"] = ConvTransposeBnAct2d(features, features // 2, **_CONV, **block)
        taps[f"up{i}"] = i + 1
        features //= 2
    layers["to_image"] = nn.ConvTranspose2d(features, channels, **_CONV)
    layers["tanh"] = nn.Tanh()
    taps["image"] = k + 2
    return nn.Sequential(layers), taps


def discriminator_layers(size: tuple[int, int], channels: int, width: int) -> tuple[nn.Sequential, dict[str, int], int]:
    """The chain from the image to the logit [N, 1], its taps, and the channels of the last map."""
    k, _ = doublings(size)
    height, map_width = size
    layers, taps, features = OrderedDict(), {}, channels
    for i in range(1, max(2, k - 1) + 1):
        wider = width * min(1 << (i - 1), 8)
        layers[f"down{i}"] = nn.Conv2d(features, wider, **_CONV)
        layers[f"act{i}"] = nn.LeakyReLU(_SLOPE, inplace=True)
        taps[f"down{i}"] = 2 * i - 1
        features, height, map_width = wider, height // 2, map_width // 2
    layers["flatten"] = FlattenNHWC()
    layers["linear"] = nn.Linear(height * map_width * features, 1)
    return nn.Sequential(layers), taps, features
