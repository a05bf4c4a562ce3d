"""Between stored pixels (uint8, NHWC, 0 to 255) and what networks see (float, NCHW, -1 to 1)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fastgan import functional

__all__ = ["to_float", "to_uint8"]


def to_float(images: Tensor | np.ndarray) -> Tensor:
    """uint8 [N, H, W, C] to float32 [N, C, H, W]: value / 127.5 - 1, on the tensor's device.

    The result keeps the bytes where they are: it is channels_last in memory. Raises TypeError for another
    dtype.
    """
    if isinstance(images, np.ndarray):
        images = torch.from_numpy(images if images.flags.writeable else images.copy())
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise TypeError(f"to_float: images must be uint8 [N, H, W, C], got {images.dtype} {list(images.shape)}")
    return images.permute(0, 3, 1, 2).to(torch.float32).div_(127.5).sub_(1.0)


def to_uint8(images: Tensor) -> Tensor:
    """float [N, C, H, W] to uint8 [N, H, W, C]: (value + 1) * 127.5 in float32, half to even, cut to 0..255.

    `to_uint8(to_float(x))` is x. Raises TypeError for tensors that are not floating.
    """
    if not images.is_floating_point() or images.ndim != 4:
        raise TypeError(f"to_uint8: images must be floating [N, C, H, W], got {images.dtype} {list(images.shape)}")
    return functional.affine_act_uint8(images, activation="none").contiguous()
