"""Feature maps that are not stored: what happens between two convolutions, kept as vectors.

A chain convolution, batch norm, activation, convolution ... runs as one operator a convolution
(`fastgan.functional.affine_act_conv2d`, docs/ops.md). Between two of them a `FeatureMap` stands for the normalised,
activated map. Every function here returns a new one and changes nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fastgan import backends
from fastgan.ops.affine_act import affine_act
from fastgan.ops.affine_act_conv2d import affine_act_conv2d
from fastgan.ops.affine_act_conv_transpose2d import affine_act_conv_transpose2d
from fastgan.ops.batch_norm_affine import batch_norm_affine
from fastgan.ops.checks import ACTIVATIONS, map_dtype
from fastgan.reference.affine_act import widened
from fastgan.reference.affine_act_conv import laid_out, layout

__all__ = [
    "FeatureMap",
    "activate",
    "batch_norm",
    "channels_last",
    "conv2d",
    "conv_transpose2d",
    "feature_map",
    "laid_out",
    "layout",
    "materialise",
]


class FeatureMap(NamedTuple):
    """act(scale * raw + shift), not computed yet.

    raw: [N, C, H, W], the output of the last convolution, or what the chain began with.
    scale, shift: [1 or N, C] in the statistics dtype, or None.
    activation, negative_slope: as in `fastgan.functional.affine_act`.
    mean, var: [C], statistics of raw, there until a batch norm has read them.
    bias: [C], a bias that raw does not contain because a batch norm follows, there until it has read it.
    """

    raw: Tensor
    scale: Tensor | None = None
    shift: Tensor | None = None
    activation: str = "none"
    negative_slope: float = 1.0
    mean: Tensor | None = None
    var: Tensor | None = None
    bias: Tensor | None = None

    @property
    def is_raw(self) -> bool:
        """Whether the map is `raw` as it stands, plus at most a bias."""
        return self.scale is None and self.shift is None and self.activation == "none"


def feature_map(x: Tensor) -> FeatureMap:
    """The start of a chain at a stored tensor [N, C, H, W]."""
    return FeatureMap(x)


def conv2d(
    map: FeatureMap,
    weight: Tensor,
    bias: Tensor | None,
    stride: int | tuple[int, int],
    padding: int | tuple[int, int],
    *,
    before_batch_norm: bool = False,
    statistics: bool = False,
) -> FeatureMap:
    """conv2d of the map.

    before_batch_norm: the bias is left to the batch norm that follows; statistics: it will read them.
    """
    map = _for_convolution(map)
    now, later = (None, bias) if before_batch_norm else (bias, None)
    y, mean, var = affine_act_conv2d(
        map.raw, weight, now, map.scale, map.shift, map.activation, map.negative_slope, stride, padding, statistics
    )
    return FeatureMap(y, mean=mean if statistics else None, var=var if statistics else None, bias=later)


def conv_transpose2d(
    map: FeatureMap,
    weight: Tensor,
    bias: Tensor | None,
    stride: int | tuple[int, int],
    padding: int | tuple[int, int],
    output_padding: int | tuple[int, int],
    *,
    before_batch_norm: bool = False,
    statistics: bool = False,
) -> FeatureMap:
    """conv_transpose2d of the map; the rest as in `conv2d`."""
    map = _for_convolution(map)
    now, later = (None, bias) if before_batch_norm else (bias, None)
    pending = map.scale, map.shift, map.activation, map.negative_slope
    geometry = stride, padding, output_padding
    y, mean, var = affine_act_conv_transpose2d(map.raw, weight, now, *pending, *geometry, statistics)
    return FeatureMap(y, mean=mean if statistics else None, var=var if statistics else None, bias=later)


def batch_norm(
    map: FeatureMap,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    eps: float,
) -> tuple[FeatureMap, Tensor, Tensor]:
    """Batch norm as two vectors: scale = weight / sqrt(var + eps), shift = bias - mean * scale.

    map: raw (`is_raw`), with its statistics if `training`. weight, bias: [C] or [N, C] or None; the rest as in
    `fastgan.functional.batch_norm_act`.
    Returns the map and (mean, var): in training the batch's mean and unbiased variance, detached, else the
    running ones. Raises ValueError for one value per channel in training, as torch does.
    """
    raw = map.raw
    if training:
        count = raw.numel() // max(raw.shape[1], 1)
        if count == 1:
            raise ValueError(f"batch norm: input must have more than 1 value per channel, got {list(raw.shape)}")
        # The conv bias cancels, but for a gradient of zeros and what it does when it is not finite; it moves the
        # mean that is reported, not the one that is taken off.
        mean, var = map.mean, map.var
        offset = mean if map.bias is None else mean + 0 * map.bias
        seen = mean.detach() if map.bias is None else mean.detach() + map.bias.detach()
    else:
        mean, var = running_mean, running_var
        dtype = widened(raw.dtype)
        offset = mean.to(dtype) if map.bias is None else mean.to(dtype) - map.bias.to(dtype)
        var = var.to(dtype)
        count, seen = 0, mean
    scale, shift, unbiased = batch_norm_affine(offset, var, weight, bias, eps, count)
    return FeatureMap(raw, scale, shift), seen, unbiased if training else running_var


def activate(map: FeatureMap, activation: str, negative_slope: float = 1.0) -> FeatureMap:
    """The activation of the map, one of "leaky_relu", "relu", "tanh" or "none"."""
    if activation == "none":
        return map
    if map.activation != "none":
        map = FeatureMap(materialise(map))
    shift = map.shift
    if map.bias is not None:
        shift = map.bias.to(widened(map.raw.dtype))[None]
    return FeatureMap(map.raw, map.scale, shift, activation, negative_slope)


def materialise(map: FeatureMap) -> Tensor:
    """The map as a stored tensor, in the dtype and memory format of raw; raw itself where nothing is pending."""
    if map.bias is not None:
        return affine_act(map.raw, None, map.bias.to(widened(map.raw.dtype))[None], "none", 1.0)
    if map.is_raw:
        return map.raw
    return affine_act(map.raw, map.scale, map.shift, map.activation, map.negative_slope)


def pays(x: Tensor) -> bool:
    """Whether a chain that starts at x should run on the operators: `fastgan.backends.wanted`.

    Otherwise torch's own modules are the better choice: the definitions in stock torch's pieces are slower.
    """
    return backends.wanted("affine_act_conv2d", x.device.type, map_dtype(x))


def _for_convolution(map: FeatureMap) -> FeatureMap:
    """A map that an operator can take as it is pending."""
    if map.activation not in ACTIVATIONS:
        return FeatureMap(materialise(map))
    if map.bias is not None:
        return FeatureMap(map.raw, None, map.bias.to(widened(map.raw.dtype))[None])
    return map


def channels_last(x: Tensor) -> Tensor:
    """x in the layout that the inside of a chain has on a CPU; on other devices as it is."""
    return laid_out(x, torch.channels_last) if x.device.type == "cpu" else x
