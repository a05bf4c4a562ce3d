"""The native passes over feature maps, under the signatures of their definitions in `fastgan.reference`."""

import torch
from torch import Tensor

from fastgan.ops.affine_act_passes import NATIVE
from fastgan.reference.affine_act_conv import Passes

_FLOATS = frozenset({torch.float32, torch.float64, torch.float16, torch.bfloat16})
NATIVE_DTYPES = {"aten": _FLOATS, "cpu": _FLOATS}


def measured_fastest(capability: str) -> str:
    """What `auto` takes on a CPU: our convolutions where vectors are wide (docs/ops.md has the numbers)."""
    return "aten" if capability in ("", "default") else "cpu"


def channel_statistics(output: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    return torch.ops.fastgan_C.channel_statistics(output, bias)


def channel_statistics_backward(
    grad_output: Tensor | None,
    grad_mean: Tensor | None,
    grad_var: Tensor | None,
    output: Tensor | None,
    mean: Tensor | None,
    bias: Tensor | None,
) -> Tensor:
    if grad_mean is None and grad_var is None:
        return grad_output
    return torch.ops.fastgan_C.channel_statistics_backward(grad_output, grad_mean, grad_var, output, mean, bias)


CPU = Passes(NATIVE.affine_act, NATIVE.affine_act_backward, channel_statistics, channel_statistics_backward)
