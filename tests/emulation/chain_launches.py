"""The chain's launchers on the cases of tests/support/chain_cases.py, called as the operators call them."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import NamedTuple

import torch
from fastgan.kernels import (
    affine_act,
    affine_act_conv,
    affine_act_conv_input_grad,
    affine_act_conv_weight_grad,
    batch_norm_affine,
    configurations,
    workspace,
)
from support.chain_cases import Case
from support.chain_rows import RoundedOperands
from torch import Tensor

from fastgan.reference.affine_act import ACTIVATIONS


class Kernels(NamedTuple):
    """The modules that launch; a copy of the package with something spoilt in it has the same ones."""

    affine_act: ModuleType
    affine_act_conv: ModuleType
    affine_act_conv_input_grad: ModuleType
    affine_act_conv_weight_grad: ModuleType
    batch_norm_affine: ModuleType
    configurations: ModuleType
    workspace: ModuleType


KERNELS = Kernels(
    affine_act,
    affine_act_conv,
    affine_act_conv_input_grad,
    affine_act_conv_weight_grad,
    batch_norm_affine,
    configurations,
    workspace,
)


class Results(NamedTuple):
    """Of F and of its gradients; None for what was not asked for."""

    y: Tensor
    mean: Tensor | None
    var: Tensor | None
    dx: Tensor | None = None
    dw: Tensor | None = None
    db: Tensor | None = None
    ds: Tensor | None = None
    dt: Tensor | None = None


class Upstream(NamedTuple):
    """Gradients of (y, mean, var), None for zero."""

    gy: Tensor | None
    gmean: Tensor | None
    gvar: Tensor | None

    def to(self, dtype: torch.dtype) -> "Upstream":
        """The map's in `dtype`, the vectors' in that of its statistics."""
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        return Upstream(*(g if g is None else g.to(dtype if g.ndim == 4 else wide) for g in self))


def upstream(case: Case, uses: str = "y mean var") -> Upstream:
    """Fixed gradients for the results named in `uses`, as the case's dtype rounds them."""
    ups = []
    for name, result in zip(("y", "mean", "var"), case.by_reference(), strict=True):
        phase = torch.arange(result.numel(), dtype=torch.float64).view(result.shape)
        ups.append(0.4 + (1.7 * phase).sin() if name in uses.split() else None)
    return Upstream(*ups).to(case.tensors[0].dtype)


@contextmanager
def setting(target: str, precision: str = "ieee", large: bool = False, kernels: Kernels = KERNELS) -> Iterator[None]:
    """Launches on CPU tensors take the configurations of `target`; with `large` those of shapes that fill a device.

    precision: "tf32" where torch may round float32 to it for convolutions.
    """
    switch, table = torch.backends.cudnn.conv, kernels.configurations
    before = switch.fp32_precision, table._IDLE
    switch.fp32_precision = "tf32" if precision == "tf32" else "ieee"
    table._IDLE = 1 if large else before[1]
    try:
        with table.assume("hip" if target.startswith("gfx") else target):
            yield
    finally:
        switch.fp32_precision, table._IDLE = before


def launched(
    case: Case,
    up: Upstream | None = None,
    parts: str = "input weight",
    statistics: bool = True,
    kernels: Kernels = KERNELS,
) -> Results:
    """F of the case by the launchers, and its gradients where `up` is given; parts: as of Row."""
    x, w, b, s, t = (each if each is None else each.detach() for each in case.tensors)
    activation, slope, stride, padding, *_ = case.options
    transposed = case.kind == "conv_transpose2d"
    affine = s, t, ACTIVATIONS.index(activation), slope, stride, padding
    conv = kernels.affine_act_conv.affine_act_conv
    y, *moments = conv(x, w, b, *affine, output_size(case), transposed, statistics)
    mean, var = moments if statistics else (None, None)
    results = Results(y, mean, var)
    if up is None:
        return results
    of_output = *up, y, mean, b
    if "input" in parts:
        needed = True, s is not None, t is not None
        input_grad = kernels.affine_act_conv_input_grad.affine_act_conv_input_grad
        dx, ds, dt = input_grad(*of_output, w, x, *affine, x.shape[2:], transposed, *needed)
        results = results._replace(dx=dx, ds=ds if needed[1] else None, dt=dt if needed[2] else None)
    if "weight" in parts:
        weight_grad = kernels.affine_act_conv_weight_grad.affine_act_conv_weight_grad
        dtypes = {"dtype": w.dtype, "bias_dtype": None if b is None else b.dtype}
        dw, db = weight_grad(*of_output, x, *affine, w.shape[2:], transposed, **dtypes)
        results = results._replace(dw=dw, db=db)
    return results


def op_of(kernel: str) -> str:
    """The name that configurations have for the operator of a kernel: forward, input_grad or weight_grad."""
    return kernel.removeprefix("_affine_act_conv").removesuffix("_kernel").strip("_") or "forward"


def output_size(case: Case) -> list[int]:
    _, _, stride, padding, *extra = case.options
    x, w = case.tensors[:2]
    sides = zip(x.shape[2:], w.shape[2:], stride, padding, *extra, strict=True)
    if case.kind == "conv2d":
        return [(side + 2 * pad - k) // step + 1 for side, k, step, pad in sides]
    return [(side - 1) * step - 2 * pad + k + more for side, k, step, pad, more in sides]


def defined(case: Case, up: Upstream | None = None, tf32: bool = False) -> Results:
    """The same by the definition in stock torch, in the dtypes of the case.

    tf32: convolutions round their operands to it, as cuDNN's do where torch allows it.
    """
    with RoundedOperands() if tf32 else torch.enable_grad():
        outputs = case.by_reference()
        results = Results(*(each.detach() for each in outputs))
        if up is None:
            return results
        pairs = [(r, g) for r, g in zip(outputs, up.to(outputs[0].dtype), strict=True) if g is not None]
        of, grads = zip(*pairs, strict=True)
        by_tensor = torch.autograd.grad(of, case.differentiable(), grads, allow_unused=True)
    return results._replace(**dict(zip(("dx", "dw", "db", "ds", "dt"), case.filled(by_tensor), strict=True)))
