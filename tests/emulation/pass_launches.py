"""The launchers of affine_act and batch_norm_affine on fixed tensors, with their gradients; and the definitions."""

from collections.abc import Callable, Iterable

import torch
from support.pass_rows import SLOPE, affine_act_defined, affine_act_tensors, normal
from torch import Tensor

from fastgan.reference import affine_act as pointwise
from fastgan.reference import batch_norm_affine as vectors

from .chain_launches import KERNELS, Kernels
from .chain_table import BatchNormRow, PassRow

EPS = 1e-3
COUNT = 9
GRADS = "scale", "shift"


def _on(device: str | torch.device, tensors: Iterable[Tensor | None]) -> list[Tensor | None]:
    return [each if each is None else each.to(device) for each in tensors]


def affine_act_of(row: PassRow, kernels: Kernels = KERNELS, device: str | torch.device = "cpu") -> dict[str, Tensor]:
    x, scale, shift, dz = _on(device, affine_act_tensors(row))
    how = scale, shift, pointwise.ACTIVATIONS.index(row.activation), SLOPE
    needed = True, scale is not None, shift is not None
    launchers = kernels.affine_act
    results = {"z": launchers.affine_act(x, *how, False)}
    if x.ndim == 4:
        results["pixels"] = launchers.affine_act(x, *how, True)
    gradients = launchers.affine_act_backward(dz, x, *how, *needed)
    return results | dict(zip(("dx", "ds", "dt"), gradients, strict=True))


def batch_norm_tensors(row: BatchNormRow) -> dict[str, Tensor | None]:
    shape = (row.rows, row.channels) if row.rows else (row.channels,)
    of_vectors = max(row.rows, 1), row.channels
    drawn = {
        "mean": 30 * normal(row.channels, seed=0),
        "var": normal(row.channels, seed=1).square() + 1e-4,
        "weight": normal(*shape, seed=2) if "weight" in row.affine else None,
        "bias": normal(*shape, seed=3) if "bias" in row.affine else None,
    }
    for seed, name in enumerate(GRADS, 4):
        drawn[f"grad_{name}"] = normal(*of_vectors, seed=seed) if name in row.grads else None
    return drawn


def batch_norm_affine_of(
    row: BatchNormRow, kernels: Kernels = KERNELS, device: str | torch.device = "cpu"
) -> dict[str, Tensor]:
    launchers = kernels.batch_norm_affine
    mean, var, weight, bias, *grads = _on(device, batch_norm_tensors(row).values())
    results = [*launchers.batch_norm_affine(mean, var, weight, bias, EPS, COUNT)]
    results += launchers.batch_norm_affine_backward(*grads, mean, var, weight, EPS)
    return dict(zip(_BATCH_NORM, results, strict=True))


_BATCH_NORM = "scale", "shift", "unbiased", "dmean", "dvar", "dweight", "dbias"


def batch_norm_affine_defined(row: BatchNormRow, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
    given = [each if each is None or dtype is None else each.to(dtype) for each in batch_norm_tensors(row).values()]
    mean, var, weight, bias, *grads = given
    results = [*vectors.batch_norm_affine(mean, var, weight, bias, EPS), var * (COUNT / (COUNT - 1))]
    results += vectors.batch_norm_affine_backward(*grads, mean, var, weight, EPS)
    return dict(zip(_BATCH_NORM, results, strict=True))


DEFINITIONS: dict[type, Callable] = {PassRow: affine_act_defined, BatchNormRow: batch_norm_affine_defined}
