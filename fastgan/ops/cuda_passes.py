"""The CUDA passes over feature maps, under the signatures of their definitions in `fastgan.reference`."""

import torch
from torch import Tensor

from fastgan import native
from fastgan.ops.cpu_passes import ACTIVATION
from fastgan.reference.affine_act_conv import STOCK

CUDA_DTYPES = {"cuda": frozenset({torch.float32, torch.float64, torch.float16, torch.bfloat16})}


def affine_act(
    input: Tensor, scale: Tensor | None, shift: Tensor | None, activation: str, negative_slope: float
) -> Tensor:
    return native.cuda_operators().affine_act(input, scale, shift, ACTIVATION[activation], negative_slope, False)


def affine_act_uint8(
    input: Tensor, scale: Tensor | None, shift: Tensor | None, activation: str, negative_slope: float
) -> Tensor:
    return native.cuda_operators().affine_act(input, scale, shift, ACTIVATION[activation], negative_slope, True)


def affine_act_backward(
    grad_output: Tensor,
    input: Tensor | None,
    scale: Tensor | None,
    shift: Tensor | None,
    activation: str,
    negative_slope: float,
    needed: tuple[bool, bool, bool],
) -> list[Tensor | None]:
    results = native.cuda_operators().affine_act_backward(
        grad_output, input, scale, shift, ACTIVATION[activation], negative_slope, *needed
    )
    return [result if wanted else None for result, wanted in zip(results, needed, strict=True)]


CUDA = STOCK._replace(affine_act=affine_act, affine_act_backward=affine_act_backward)
