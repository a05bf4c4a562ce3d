"""Rows of tests/emulation/chain_table.py as cases, and what stock torch makes of them with tf32; no Triton here."""

import contextlib

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from .chain_cases import Case, make_case

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "tf32": torch.float32, "ieee": torch.float32}


def case_of(row) -> Case:
    return make_case(
        row.kind,
        row.rows,
        row.activation,
        row.samples,
        row.channels,
        row.size,
        dtype=DTYPES[row.precision],
        **row.geometry,
    )


def with_wide_parameters(case: Case) -> tuple[Case, Case]:
    """(the case with a weight and a bias in float32 that halves round, the case with both as they count)."""
    x, w, b, s, t = (each if each is None else each.detach() for each in case.tensors)
    wide = [each.float() * (1 + 2.0**-13) for each in (w, b)]
    counts = case._replace(tensors=(x, *(each.to(x.dtype) for each in wide), s, t)).to(x.dtype)
    return case._replace(tensors=(x, *wide, s, t)), counts


def defined(case: Case, precision: str) -> tuple[list[Tensor], list[Tensor]]:
    """(y, mean, var) by stock torch with products of that precision, and in float64."""
    with torch.no_grad():
        exact = case.to(torch.float64).by_reference()
        with RoundedOperands() if precision == "tf32" else contextlib.nullcontext():
            return [*case.by_reference()], [*exact]


class RoundedOperands(TorchDispatchMode):
    """Convolutions and their gradients of what float32 operands are in tf32, rounded to nearest."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        count = {"aten::convolution": 2, "aten::convolution_backward": 3}.get(function.name(), 0)
        result = function(*map(to_tf32, args[:count]), *args[count:], **(kwargs or {}))
        # The bias is not multiplied, nor is its gradient.
        return (*result[:2], args[0].sum((0, 2, 3))) if count == 3 else result


def to_tf32(x: Tensor) -> Tensor:
    """float32 to 10 bits of mantissa, half away from zero."""
    return ((x.contiguous().view(torch.int32) + 0x1000) & -0x2000).view(torch.float32)
