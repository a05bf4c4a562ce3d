"""Arguments for the leaf operators of the convolutions, and the definitions' results for them at any dtype."""

from typing import NamedTuple

import torch
from hypothesis import strategies as st
from support.tolerances import assert_as_good_as
from torch import Tensor

from fastgan.reference import affine_act as affine
from fastgan.reference import channel_statistics as statistics

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


def dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def as_double(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.double()


def assert_right(ours: Tensor, stock: Tensor, exact: Tensor) -> None:
    """The error rule; in float64, where `exact` is stock torch itself, 1e-13 of the largest number."""
    if ours.dtype == torch.float64 and stock.dtype == torch.float64:
        largest = exact[exact.isfinite()].abs().max().item() if exact.isfinite().any() else 0.0
        torch.testing.assert_close(ours, exact, rtol=0, atol=1e-13 * max(1.0, largest), equal_nan=True)
    else:
        assert_as_good_as(ours, stock, exact)


class Geometry(NamedTuple):
    transposed: bool = False
    images: int = 2
    channels: tuple[int, int] = (3, 5)
    size: tuple[int, int] = (6, 5)
    kernel: tuple[int, int] = (4, 4)
    stride: tuple[int, int] = (2, 2)
    padding: tuple[int, int] = (1, 1)
    output_padding: tuple[int, int] = (0, 0)

    def output_size(self) -> list[int]:
        sides = zip(self.size, self.kernel, self.stride, self.padding, self.output_padding, strict=True)
        if self.transposed:
            return [(n - 1) * s - 2 * p + k + extra for n, k, s, p, extra in sides]
        return [(n + 2 * p - k) // s + 1 for n, k, s, p, _ in sides]


class Case(NamedTuple):
    """What one block has: input, weight, bias, scale, shift of its forward pass, and gradients for its results."""

    geometry: Geometry
    activation: str
    slope: float
    input: Tensor
    weight: Tensor
    bias: Tensor | None
    scale: Tensor | None
    shift: Tensor | None
    grad_output: Tensor | None
    grad_mean: Tensor | None
    grad_var: Tensor | None

    def double(self) -> "Case":
        return self._replace(**{name: as_double(getattr(self, name)) for name in self._fields[3:]})

    def leaf_options(self) -> tuple:
        return affine.ACTIVATIONS.index(self.activation), self.slope

    def affine_options(self) -> tuple:
        return self.scale, self.shift, self.activation, self.slope

    def _convolution(self, *arguments) -> tuple:
        g = self.geometry
        return *arguments, g.stride, g.padding, (1, 1), g.transposed, g.output_padding, 1

    def forward(self) -> tuple[Tensor, Tensor, Tensor]:
        """(y, mean, var) of the definition at the dtype of the tensors."""
        z = affine.affine_act(self.input, *self.affine_options())
        y = torch.ops.aten.convolution(*self._convolution(z, self.weight, self.bias))
        return y, *statistics.channel_statistics(y, self.bias)

    def _output_gradient(self, output: Tensor, mean: Tensor) -> Tensor:
        given = self.grad_output, self.grad_mean, self.grad_var
        return statistics.channel_statistics_backward(*given, output, mean, self.bias)

    def input_grad(self, output: Tensor, mean: Tensor, needed) -> tuple[Tensor | None, ...]:
        """The definition's gradients for (input, scale, shift), given y and mean as stored."""
        dy = self._output_gradient(output, mean)
        arguments = self._convolution(dy, self.input, self.weight, None)
        dz = torch.ops.aten.convolution_backward(*arguments, (True, False, False))[0]
        return affine.affine_act_backward(dz, self.input, *self.affine_options(), needed)

    def weight_grad(self, output: Tensor, mean: Tensor) -> Tensor:
        z = affine.affine_act(self.input, *self.affine_options())
        arguments = self._convolution(self._output_gradient(output, mean), z, self.weight, None)
        return torch.ops.aten.convolution_backward(*arguments, (False, True, False))[1]

    def leaf_forward(self, leaf, want_statistics: bool = True):
        g = self.geometry
        tensors = self.input, self.weight, self.bias, self.scale, self.shift
        geometry = g.stride, g.padding, g.output_size(), g.transposed
        return leaf.affine_act_conv(*tensors, *self.leaf_options(), *geometry, want_statistics)

    def leaf_input_grad(self, leaf, output: Tensor | None, mean: Tensor | None, needed):
        g = self.geometry
        given = self.grad_output, self.grad_mean, self.grad_var, output, mean, self.bias, self.weight
        reads = affine.reads_input(self.activation, needed)
        tensors = *given, self.input if reads else None, self.scale, self.shift
        return leaf.affine_act_conv_input_grad(
            *tensors, *self.leaf_options(), g.stride, g.padding, g.size, g.transposed, *needed
        )

    def leaf_weight_grad(self, leaf, output: Tensor | None, mean: Tensor | None) -> Tensor:
        g = self.geometry
        given = self.grad_output, self.grad_mean, self.grad_var, output, mean, self.bias
        tensors = *given, self.input, self.scale, self.shift
        return leaf.affine_act_conv_weight_grad(
            *tensors, *self.leaf_options(), g.stride, g.padding, g.kernel, g.transposed
        )


def make_case(
    geometry: Geometry,
    dtype: torch.dtype = torch.float32,
    activation: str = "leaky_relu",
    rows: tuple[str | None, str | None] = ("one", "many"),
    bias: bool = True,
    gradients: tuple[bool, bool, bool] = (True, True, True),
    channels_last: bool = True,
    seed: int = 0,
) -> Case:
    """Random tensors; scale * input + shift stays away from 0, where the activation has its corner."""
    generator = torch.Generator().manual_seed(seed)
    wide = affine.widened(dtype)
    images, (c_in, c_out) = geometry.images, geometry.channels

    def normal(*shape: int, to: torch.dtype = dtype) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(to)

    counts = {"one": 1, "many": images}
    scale, shift = (None if row is None else normal(counts[row], c_in, to=wide) for row in rows)
    if scale is not None:
        scale = scale.sign() * (0.5 + scale.abs())
    v = normal(images, c_in, *geometry.size, to=torch.float64)
    v = v.sign() * (0.3 + v.abs())
    if shift is not None:
        v = v - shift.double()[:, :, None, None]
    if scale is not None:
        v = v / scale.double()[:, :, None, None]
    x = v.to(dtype)
    weight = normal(*((c_in, c_out) if geometry.transposed else (c_out, c_in)), *geometry.kernel, to=torch.float64)
    weight = (weight / max(1, c_in * geometry.kernel[0] * geometry.kernel[1]) ** 0.5).to(dtype)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    grad_output = normal(images, c_out, *geometry.output_size())
    grad_mean, grad_var = normal(c_out, to=wide), normal(c_out, to=wide)
    given = [g if wanted else None for g, wanted in zip((grad_output, grad_mean, grad_var), gradients, strict=True)]
    slope = {"none": 1.0, "relu": 0.0, "leaky_relu": 0.3}[activation]
    return Case(geometry, activation, slope, x, weight, normal(c_out) if bias else None, scale, shift, *given)


SHAPES = [
    Geometry(),
    Geometry(True),
    Geometry(False, 1, (1, 1), (1, 1), (1, 1), (1, 1), (0, 0)),
    Geometry(True, 3, (5, 4), (3, 3), (2, 2), (3, 3), (0, 0)),  # outputs that no tap reaches
    Geometry(True, 2, (4, 3), (3, 4), (3, 2), (2, 1), (1, 0), (1, 0)),
    Geometry(False, 2, (3, 2), (7, 6), (3, 2), (2, 3), (0, 1)),  # rows and columns left over
    Geometry(False, 2, (2, 2), (3, 3), (3, 3), (1, 1), (4, 4)),  # whole taps outside the image
    Geometry(False, 70, (9, 6), (10, 10), (3, 3), (2, 2), (0, 0)),  # several groups of images and chunks
    Geometry(True, 3, (300, 20), (4, 4)),  # runs of channels
    Geometry(False, 2, (20, 33), (9, 7), (5, 3), (1, 2), (2, 1)),
]
CHANNELS = [1, 3, 5, 6, 7, 15, 16, 17, 31, 32, 33, 49]


def geometry_name(g: Geometry) -> str:
    kind = "transposed" if g.transposed else "conv"
    numbers = "x".join(map(str, (*g.channels, *g.size)))
    digits = ["".join(map(str, pair)) for pair in (g.kernel, g.stride, g.padding)]
    return f"{kind}-n{g.images}_c{numbers}_k{digits[0]}s{digits[1]}p{digits[2]}"


@st.composite
def geometries(draw) -> Geometry:
    pair = lambda low, high: st.tuples(st.integers(low, high), st.integers(low, high))  # noqa: E731
    transposed, stride = draw(st.booleans()), draw(pair(1, 3))
    extra = tuple(draw(st.integers(0, s - 1)) for s in stride) if transposed else (0, 0)
    geometry = Geometry(
        transposed,
        draw(st.integers(1, 4)),
        draw(pair(1, 35)),
        draw(pair(1, 9)),
        draw(pair(1, 5)),
        stride,
        draw(pair(0, 3)),
        extra,
    )
    smaller = geometry._replace(padding=(0, 0))
    geometry = geometry if min(geometry.output_size()) > 0 else smaller
    return geometry if min(geometry.output_size()) > 0 else geometry._replace(kernel=(1, 1))
