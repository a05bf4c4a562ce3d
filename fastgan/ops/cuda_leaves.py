"""The CUDA operators under the names, arguments and results of `native_leaves`, forward passes alone.

The kernels round a weight or bias that is wider than the maps as they read it.
"""

from typing import Any

import torch
from torch import Tensor

from fastgan import native

READS_WIDE = True
CUDA_DTYPES = {"cuda": frozenset({torch.float32, torch.float16, torch.bfloat16})}


def affine_act_conv(input: Tensor, *arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Of float32 the products are tf32's where torch's own switch for convolutions allows it."""
    tf32 = torch.backends.cudnn.conv.fp32_precision == "tf32"
    y, mean, var = native.cuda_operators().affine_act_conv_cuda(input, *arguments, tf32)
    if y.numel() == 0:
        mean, var = mean.fill_(torch.nan), var.fill_(torch.nan)
    return y, mean, var
