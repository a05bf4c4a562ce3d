"""The launchers of `fastgan.kernels` under the names, arguments and results of `native_leaves`.

Imported at the first call, because fastgan must import where triton is not installed. Kernels round a weight or bias
that is wider than the maps as they read it.
"""

import importlib
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

READS_WIDE = True
TRITON_DTYPES = {"triton": frozenset({torch.float32, torch.float16, torch.bfloat16})}


def affine_act_conv(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    return _kernels("affine_act_conv").affine_act_conv(*arguments)


def affine_act_conv_input_grad(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    return _kernels("affine_act_conv_input_grad").affine_act_conv_input_grad(*arguments)


def affine_act_conv_weight_grad(*arguments: Any, **dtypes: torch.dtype | None) -> tuple[Tensor, Tensor | None]:
    return _kernels("affine_act_conv_weight_grad").affine_act_conv_weight_grad(*arguments, **dtypes)


def affine_act(*arguments: Any) -> Tensor:
    return _kernels("affine_act").affine_act(*arguments)


def affine_act_backward(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    return _kernels("affine_act").affine_act_backward(*arguments)


def _kernels(stem: str) -> ModuleType:
    return importlib.import_module(f"fastgan.kernels.{stem}")
