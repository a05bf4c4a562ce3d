"""Rows of tests/emulation/chain_table.py's passes as tensors, and what stock torch makes of them; no Triton here."""

import torch
from torch import Tensor

from fastgan.reference import affine_act as pointwise

from .chain_cases import ROWS
from .chain_rows import DTYPES

SLOPE = 0.2


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def affine_act_tensors(row) -> list[Tensor | None]:
    """x, scale, shift and the gradient for z."""
    samples, channels = row.shape[:2]
    counts = [samples if each == "many" else each for each in ROWS[row.rows]]
    affine = [None if n is None else normal(n, channels, seed=seed) for seed, n in enumerate(counts)]
    dtype = DTYPES[row.precision]
    return [normal(*row.shape, seed=2).to(dtype), *affine, normal(*row.shape, seed=3).to(dtype)]


def affine_act_defined(row, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
    """In stock torch; in float64 where `dtype` says so."""
    given = [each if each is None or dtype is None else each.to(dtype) for each in affine_act_tensors(row)]
    *inputs, dz = given
    inputs = [each if each is None else each.requires_grad_() for each in inputs]
    z = pointwise.affine_act(*inputs, row.activation, SLOPE)
    by = iter(torch.autograd.grad(z, [each for each in inputs if each is not None], dz))
    results = {name: next(by) for name, each in zip(("dx", "ds", "dt"), inputs, strict=True) if each is not None}
    results["z"] = z.detach()
    if z.ndim == 4:
        affine = [each if each is None else each.detach() for each in inputs]
        results["pixels"] = pointwise.affine_act_uint8(*affine, row.activation, SLOPE)
    return results
