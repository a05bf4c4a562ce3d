"""Arguments for the two chain operators, and the plain torch that they are held against."""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from fastgan.ops.affine_act_conv2d import affine_act_conv2d
from fastgan.ops.affine_act_conv_transpose2d import affine_act_conv_transpose2d
from fastgan.reference import affine_act_conv2d as reference_conv2d
from fastgan.reference import affine_act_conv_transpose2d as reference_conv_transpose2d

OPS = {"conv2d": affine_act_conv2d, "conv_transpose2d": affine_act_conv_transpose2d}
OVERLOADS = {
    "conv2d": torch.ops.fastgan.affine_act_conv2d.default,
    "conv_transpose2d": torch.ops.fastgan.affine_act_conv_transpose2d.default,
}
REFERENCES = {
    "conv2d": reference_conv2d.affine_act_conv2d,
    "conv_transpose2d": reference_conv_transpose2d.affine_act_conv_transpose2d,
}
# Rows of scale and of shift; "many" is one row per sample.
ROWS = {
    "bare": (None, None),
    "per_channel": (1, 1),
    "per_sample": ("many", "many"),
    "mixed": (1, "many"),
    "scale": ("many", None),
    "shift": (None, 1),
}
SLOPES = {"none": 1.0, "relu": 0.0, "leaky_relu": 0.3}


class Case(NamedTuple):
    """tensors: input, weight, bias, scale, shift; options: what follows them, activation first."""

    kind: str
    tensors: tuple[Tensor | None, ...]
    options: tuple[Any, ...]

    def run(self, *tensors: Tensor | None):
        return OPS[self.kind](*(tensors or self.tensors), *self.options)

    def arguments(self, statistics: bool = True) -> tuple[Any, ...]:
        """All arguments of the registered operator."""
        return (*self.tensors, *self.options, statistics)

    def by_reference(self, *tensors: Tensor | None):
        return REFERENCES[self.kind](*(tensors or self.tensors), *self.options)

    def differentiable(self) -> list[Tensor]:
        return [tensor for tensor in self.tensors if tensor is not None]

    def filled(self, given) -> list[Tensor | None]:
        """The five arguments again from those that are not None."""
        given = iter(given)
        return [None if tensor is None else next(given) for tensor in self.tensors]

    def to(self, dtype: torch.dtype) -> "Case":
        """Copies that require gradients, in `dtype` (scale and shift: in its statistics dtype)."""
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        dtypes = (dtype, dtype, dtype, wide, wide)
        copies = [
            None if tensor is None else tensor.detach().to(each).requires_grad_()
            for tensor, each in zip(self.tensors, dtypes, strict=True)
        ]
        return self._replace(tensors=tuple(copies))


def make_case(
    kind: str,
    rows: str = "per_channel",
    activation: str = "leaky_relu",
    samples: int = 2,
    channels: tuple[int, int] = (3, 2),
    size: tuple[int, int] = (4, 3),
    kernel: tuple[int, int] = (3, 2),
    stride: tuple[int, int] = (2, 1),
    padding: tuple[int, int] = (1, 1),
    output_padding: tuple[int, int] = (0, 0),
    bias: bool = True,
    channels_last: bool = False,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
) -> Case:
    """Random arguments, scale * input + shift away from 0, where the activation has its corner."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    row_counts = [samples if each == "many" else each for each in ROWS[rows]]
    scale = (
        None
        if row_counts[0] is None
        else normal(row_counts[0], channels[0]).sign() * (0.5 + normal(row_counts[0], channels[0]).abs())
    )
    shift = None if row_counts[1] is None else normal(row_counts[1], channels[0])
    x = normal(samples, channels[0], *size)
    x = x.sign() * (0.1 + x.abs())
    if shift is not None:
        x = x - shift[:, :, None, None]
    if scale is not None:
        x = x / scale[:, :, None, None]
    around = channels[::-1] if kind == "conv2d" else channels
    weight = normal(*around, *kernel)
    if channels_last:
        x, weight = (t.contiguous(memory_format=torch.channels_last) for t in (x, weight))
    options = (activation, SLOPES[activation], stride, padding)
    case = Case(
        kind,
        (x, weight, normal(channels[1]) if bias else None, scale, shift),
        options if kind == "conv2d" else (*options, output_padding),
    )
    return case.to(dtype)


def plain(case: Case) -> tuple[Tensor, Tensor, Tensor]:
    """(y, mean, var) spelled out once more, without any code of the package."""
    x, weight, bias, scale, shift = case.tensors
    activation, slope, stride, padding, *output_padding = case.options
    z = x if scale is None else x * scale[:, :, None, None]
    z = z if shift is None else z + shift[:, :, None, None]
    z = torch.where(z > 0, z, slope * z)
    if case.kind == "conv2d":
        y = F.conv2d(z, weight, None, stride, padding)
    else:
        y = F.conv_transpose2d(z, weight, None, stride, padding, *output_padding)
    mean = y.mean((0, 2, 3))
    var = (y - mean[:, None, None]).square().mean((0, 2, 3))
    return y if bias is None else y + bias[:, None, None], mean, var


def upstream(tensor: Tensor, layout: str, seed: int) -> Tensor:
    """A gradient for `tensor` [N, C, H, W]: dense, channels_last, strided (each 2nd column) or expanded."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(tensor.dtype)

    samples, channels, height, width = tensor.shape
    if layout == "expanded":
        return normal(channels, 1, 1).expand(tensor.shape)
    if layout == "strided":
        return normal(samples, channels, height, 2 * width)[..., ::2]
    dense = normal(*tensor.shape)
    return dense.contiguous(memory_format=torch.channels_last) if layout == "channels_last" else dense


def gradients(case: Case, results, uses, layout: str = "dense", create_graph: bool = False) -> list[Tensor]:
    """Gradients of the results named in `uses` ("y", "mean", "var") under fixed random upstream gradients."""
    picked = [result for name, result in zip(("y", "mean", "var"), results, strict=True) if name in uses]
    ups = [
        upstream(result, layout, seed)
        if result.ndim == 4
        else upstream(result[None, :, None, None], "dense", seed).view(-1)
        for seed, result in enumerate(picked)
    ]
    return list(
        torch.autograd.grad(
            picked, case.differentiable(), ups, create_graph=create_graph, allow_unused=True, materialize_grads=True
        )
    )
