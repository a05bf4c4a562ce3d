"""Preset `dcgan`: the layers and state_dict keys (`main.N.*`) of the widely used PyTorch DCGAN example.

Generator: a transposed convolution from 1x1 to the first map, then k of 4x4 and stride 2, BN and ReLU
between, tanh at the end. Discriminator: k convolutions of 4x4 and stride 2 with BN (not after the first)
and LeakyReLU(0.2), then one over the whole last map: a logit, where the example adds a sigmoid (which
holds no parameters). No biases; BN with torch's eps and momentum. At 64x64, z_dim 100, width 64, 3
channels this is the example with nz = 100, ngf = ndf = 64, nc = 3.
"""

from __future__ import annotations

from torch import nn

from fastgan.models.sizes import doublings
from fastgan.nn import ConditionalBatchNorm2d

__all__ = ["discriminator_layers", "generator_layers"]

_CONV = {"kernel_size": 4, "stride": 2, "padding": 1, "bias": False}


def generator_layers(
    size: tuple[int, int], channels: int, z_dim: int, width: int, num_classes: int
) -> tuple[nn.Sequential, dict[str, int]]:
    """The chain from z [N, z_dim, 1, 1] to the image [N, C, H, W], and its taps."""
    k, first_map = doublings(size)
    features = width << (k - 1)
    layers = [nn.ConvTranspose2d(z_dim, features, first_map, bias=False)]
    taps = {}
    for i in range(k):
        norm = ConditionalBatchNorm2d(features, num_classes) if num_classes else nn.BatchNorm2d(features)
        layers += [norm, nn.ReLU(inplace=True)]
        taps["input" if i == 0 else f"up{i}"] = len(layers) - 1
        narrower = features // 2 if i < k - 1 else channels
        layers.append(nn.ConvTranspose2d(features, narrower, **_CONV))
        features = narrower
    layers.append(nn.Tanh())
    taps["image"] = len(layers) - 1
    return nn.Sequential(*layers), taps


def discriminator_layers(size: tuple[int, int], channels: int, width: int) -> tuple[nn.Sequential, dict[str, int], int]:
    """The chain from the image to the logit [N, 1, 1, 1], its taps, and the channels of the last map."""
    k, last_map = doublings(size)
    layers, taps, features = [], {}, channels
    for i in range(1, k + 1):
        wider = width << (i - 1)
        layers.append(nn.Conv2d(features, wider, **_CONV))
        if i > 1:
            layers.append(nn.BatchNorm2d(wider))
        layers.append(nn.LeakyReLU(0.2, inplace=True))
        taps[f"down{i}"] = len(layers) - 1
        features = wider
    layers.append(nn.Conv2d(features, 1, last_map, bias=False))
    return nn.Sequential(*layers), taps, features
