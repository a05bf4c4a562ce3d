"""Classes of shapes: what a measured table is asked by, coarse enough to be met again and to be measured in minutes.

A class has the kernel, stride and padding of a convolution as they are; channels rounded to a power of 2, unless there
are fewer than 16 or 8 does not divide them, which kernels read in another way; pixels, over all samples, rounded to
a power of 4; and the layout. It is "" where a call does not tell, which no table holds.
"""

import functools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from fastgan.reference.affine_act_conv import layout


def of_convolution(
    transposed: bool, input: Tensor, weight: Tensor, stride: Sequence[int], padding: Sequence[int], output_size
) -> str:
    """Of the forward pass. weight: [C_out, C_in, kH, kW], of a transposed convolution [C_in, C_out, kH, kW]."""
    outer = weight.shape[1 if transposed else 0]
    small = input.shape[2:] if transposed else output_size
    pixels = input.shape[0] * math.prod(small)
    last = layout(input, weight) == torch.channels_last
    return _convolution(*weight.shape[2:], *stride, *padding, input.shape[1], outer, pixels, last)


def of_convolution_backward(transposed: bool, arguments: Sequence) -> str:
    """Of the gradients; `arguments` are those of affine_act_conv2d_backward, of which many may be None."""
    grad_output, input, weight, output = (arguments[i] for i in (0, 3, 4, 8))
    stride, padding, input_size, output_size, kernel = arguments[12:17]
    map = next((each for each in (grad_output, input, output) if each is not None), None)
    if weight is None or map is None:
        return ""
    inner, outer = weight.shape[:2] if transposed else (weight.shape[1], weight.shape[0])
    pixels = map.shape[0] * math.prod(input_size if transposed else output_size)
    last = layout(grad_output, input, output, weight) == torch.channels_last
    return _convolution(*kernel, *stride, *padding, inner, outer, pixels, last)


def of_map(map: Tensor) -> str:
    """Of a pass over one map [N, C, ...]."""
    last = map.ndim == 4 and layout(map) == torch.channels_last
    return _map(map.shape[1], map.numel() // max(map.shape[1], 1), last)


@functools.lru_cache(4096)
def _convolution(
    height: int,
    width: int,
    down: int,
    right: int,
    above: int,
    left: int,
    inner: int,
    outer: int,
    pixels: int,
    last: bool,
) -> str:
    step = f"{down}" if down == right else f"{down}x{right}"
    pad = f"{above}" if above == left else f"{above}x{left}"
    channels = f"{_channels(inner)} to {_channels(outer)}"
    return f"{height}x{width} stride {step} padding {pad}, {channels} channels, {_around(pixels, last)}"


@functools.lru_cache(4096)
def _map(channels: int, pixels: int, last: bool) -> str:
    return f"{_channels(channels)} channels, {_around(pixels, last)}"


def _channels(count: int) -> str:
    if count < 16:
        return str(count)
    rounded = 2 ** math.floor(math.log2(count) + 0.5)
    return f"{rounded}" if count % 8 == 0 else f"{rounded} odd"


def _around(pixels: int, last: bool) -> str:
    rounded = 4 ** math.floor(math.log2(max(pixels, 1)) / 2 + 0.5)
    return f"{rounded} pixels, {'NHWC' if last else 'NCHW'}"
