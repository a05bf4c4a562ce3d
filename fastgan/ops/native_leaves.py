"""The native operators under the names, arguments and results that whoever runs an operator whole has.

Maps and parameters have one dtype here; a weight that is wider is rounded by the caller.
"""

from typing import Any

import torch
from torch import Tensor

READS_WIDE = False


def affine_act_conv(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    return torch.ops.fastgan_C.affine_act_conv(*arguments)


def affine_act_conv_input_grad(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    return torch.ops.fastgan_C.affine_act_conv_input_grad(*arguments)


def affine_act_conv_weight_grad(
    grad_output: Tensor | None,
    *arguments: Any,
    dtype: torch.dtype | None = None,
    bias_dtype: torch.dtype | None = None,
) -> tuple[Tensor, Tensor | None]:
    """dw, and the sum of grad_output by channel in `bias_dtype`, None without one or without grad_output."""
    dw = torch.ops.fastgan_C.affine_act_conv_weight_grad(grad_output, *arguments)
    return dw if dtype is None else dw.to(dtype), bias_grad(grad_output, bias_dtype)


def bias_grad(grad_output: Tensor | None, dtype: torch.dtype | None) -> Tensor | None:
    return None if grad_output is None or dtype is None else grad_output.sum((0, 2, 3)).to(dtype)
