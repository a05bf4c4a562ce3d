"""The passes of affine_act by other operators, under the signatures of their definitions in `fastgan.reference`."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fastgan import native
from fastgan.ops import triton_leaves

CUDA_DTYPES = {"cuda": frozenset({torch.float32, torch.float64, torch.float16, torch.bfloat16})}
# The order is that of enum Activation in csrc/common/affine_act.h.
ACTIVATION = {"none": 0, "leaky_relu": 1, "relu": 2, "tanh": 3}


class AffineActPasses:
    """By `operators()`, which is asked at every call: some are loaded late, and which of CUDA's may change."""

    def __init__(self, operators: Callable[[], Any]):
        self._operators = operators

    def affine_act(
        self, input: Tensor, scale: Tensor | None, shift: Tensor | None, activation: str, negative_slope: float
    ) -> Tensor:
        return self._operators().affine_act(input, scale, shift, ACTIVATION[activation], negative_slope, False)

    def affine_act_uint8(
        self, input: Tensor, scale: Tensor | None, shift: Tensor | None, activation: str, negative_slope: float
    ) -> Tensor:
        return self._operators().affine_act(input, scale, shift, ACTIVATION[activation], negative_slope, True)

    def affine_act_backward(
        self,
        grad_output: Tensor,
        input: Tensor | None,
        scale: Tensor | None,
        shift: Tensor | None,
        activation: str,
        negative_slope: float,
        needed: tuple[bool, bool, bool],
    ) -> list[Tensor | None]:
        results = self._operators().affine_act_backward(
            grad_output, input, scale, shift, ACTIVATION[activation], negative_slope, *needed
        )
        return [result if wanted else None for result, wanted in zip(results, needed, strict=True)]


NATIVE = AffineActPasses(lambda: torch.ops.fastgan_C)
CUDA = AffineActPasses(native.cuda_operators)
TRITON = AffineActPasses(lambda: triton_leaves)
