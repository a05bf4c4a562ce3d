"""frozen_generator in stock torch: a plan of steps over folded tensors, from latents to an image.

Between two steps an image is a row of numbers in the order H, W, C (a flat vector is 1 x 1 x F): a view of one shape as
another costs nothing, and a step that reads a map says which H, W, C it takes the row for. The plan is data:

  Convolution   y = A(x, weight) + bias, the (transposed) convolution of torch; a linear map is 1x1 on a 1x1 map
  Affine        x = scale * x + shift per channel, rows of tables chosen by label where there are classes
  Activation    leaky_relu, relu or tanh
  Permutation   row[j] = row[index[j]]

Numbers are float32 (indices int64). The last row is the image: float [N, C, H, W], or uint8 [N, H, W, C] that is
clamp(round_half_even((x + 1) * 127.5), 0, 255), as `fastgan.models.pixels.to_uint8` has them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from fastgan.reference.affine_act import ACTIVATIONS

OUTPUTS = ("float", "uint8")
# The dtype of maps; their order numbers them for the kernels. "tf32" lets products of float32 be rounded to it.
PRECISIONS = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
BLOCK = 64  # images computed at a time where an image's bytes must not depend on the others

_WIDTH = 16  # integers a step takes in a program


class Convolution(NamedTuple):
    """weight, bias: places among the tensors (bias -1: none). source, result: H, W, C of the maps read and written."""

    weight: int  # of [C_out, C_in, kH, kW], transposed [C_in, C_out, kH, kW]
    bias: int
    source: tuple[int, int, int]
    result: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    transposed: bool


class Affine(NamedTuple):
    """scale, shift: places of tables [1, channels], or [classes, channels] read by label (classes 0: one row)."""

    scale: int
    shift: int
    channels: int
    classes: int


class Activation(NamedTuple):
    """kind: one of ACTIVATIONS (their places are numbers of the program); negative_slope is of leaky_relu alone."""

    kind: str
    negative_slope: float


class Permutation(NamedTuple):
    """index: place of int64 [size]."""

    index: int
    size: int


Step: TypeAlias = Convolution | Affine | Activation | Permutation


class Plan(NamedTuple):
    """Everything about a frozen generator but its numbers.

    input_shape: of one latent, (F,) or (C, H, W). image: (C, H, W), or (F,) where the network ends in a flat vector.
    num_classes: 0 without labels. names: of the tensors, in the order of the places that steps refer to.
    """

    input_shape: tuple[int, ...]
    image: tuple[int, ...]
    num_classes: int
    names: tuple[str, ...]
    steps: tuple[Step, ...]


def encode(steps: Sequence[Step]) -> tuple[list[int], list[float]]:
    """Steps as the operator takes them: 16 integers and one negative slope each."""
    program, slopes = [], []
    for step in steps:
        if isinstance(step, Convolution):
            row = [0, step.weight, step.bias, *step.source, *step.result, *step.kernel, *step.stride, *step.padding]
            row.append(int(step.transposed))
        elif isinstance(step, Affine):
            row = [1, *step]
        elif isinstance(step, Activation):
            row = [2, ACTIVATIONS.index(step.kind)]
        else:
            row = [3, *step]
        program += row + [0] * (_WIDTH - len(row))
        slopes.append(step.negative_slope if isinstance(step, Activation) else 1.0)
    return program, slopes


def decode(program: Sequence[int], slopes: Sequence[float]) -> list[Step]:
    """The steps that `encode` was given."""
    steps: list[Step] = []
    for number, slope in enumerate(slopes):
        kind, *row = program[number * _WIDTH : (number + 1) * _WIDTH]
        if kind == 0:
            pairs = [tuple(row[i : i + 2]) for i in (8, 10, 12)]
            steps.append(Convolution(row[0], row[1], tuple(row[2:5]), tuple(row[5:8]), *pairs, bool(row[14])))
        elif kind == 1:
            steps.append(Affine(*row[:4]))
        elif kind == 2:
            steps.append(Activation(ACTIVATIONS[row[0]], slope))
        else:
            steps.append(Permutation(*row[:2]))
    return steps


def frozen_generator(
    z: Tensor,
    c: Tensor | None,
    tensors: Sequence[Tensor],
    steps: Sequence[Step],
    image: Sequence[int],
    output: str,
    precision: str = "fp32",
    batch_invariant: bool = False,
) -> Tensor:
    """Latents [N, F] in the order H, W, C and labels int64 [N] or None, through the steps.

    image: C, H, W of the result. precision: dtype of convolutions' inputs and weights and of the maps between them;
    affine maps are computed in float32. batch_invariant: image i has the same bytes for any N: on the CPU in whole
    blocks of 64 with one thread, because torch's libraries choose their arithmetic by batch size and threads; on CUDA
    in the same blocks, without TF32 and without choice by timing. Returns float32 [N, C, H, W] with the memory of
    [N, H, W, C], or uint8 [N, H, W, C].
    """

    def compute(z: Tensor, c: Tensor | None) -> Tensor:
        return pixels(run(z, c, tensors, steps, PRECISIONS[precision]), image, output)

    if not batch_invariant:
        return compute(z, c)
    parts = []
    with fixed_arithmetic(z.device, tf32=precision == "tf32"):
        for first in range(0, max(1, z.shape[0]), BLOCK):
            part = z[first : first + BLOCK]
            count, absent = part.shape[0], BLOCK - part.shape[0]
            labels = None if c is None else F.pad(c[first : first + BLOCK], (0, absent))
            parts.append(compute(F.pad(part, (0, 0, 0, absent)), labels)[:count])
    # The dense order of memory, which slicing and joining keep, is [N, H, W, C].
    if len(parts) == 1:
        return parts[0].clone()
    return torch.cat([part.movedim(1, -1) for part in parts]).movedim(-1, 1) if output == "float" else torch.cat(parts)


def run(z: Tensor, c: Tensor | None, tensors: Sequence[Tensor], steps: Sequence[Step], dtype: torch.dtype) -> Tensor:
    """The rows [N, H * W * C] in float32 after the last step, in stock operators alone."""
    x = z.to(dtype)
    for step in steps:
        if isinstance(step, Convolution):
            x = _convolve(x, step, tensors, dtype)
        elif isinstance(step, Affine):
            x = _scale(x, step, tensors, c).to(dtype)
        elif isinstance(step, Activation):
            x = _activate(x, step)
        else:
            x = x.index_select(1, tensors[step.index])
    return x.float()


def pixels(rows: Tensor, image: Sequence[int], output: str) -> Tensor:
    """Rows [N, H * W * C] as float [N, C, H, W], the same memory, or as uint8 [N, H, W, C]."""
    channels, height, width = image
    x = rows.reshape(-1, height, width, channels)
    if output == "float":
        return x.permute(0, 3, 1, 2)
    return x.add(1.0).mul(127.5).round().clamp(0.0, 255.0).to(torch.uint8)


@contextlib.contextmanager
def fixed_arithmetic(device: torch.device, tf32: bool = False) -> Iterator[None]:
    """Take away what may change the last bits: CPU threads but one; on CUDA choice by timing and, unasked, TF32."""
    if device.type == "cuda":
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=tf32):
            yield
        return
    threads = torch.get_num_threads()
    if threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _convolve(x: Tensor, step: Convolution, tensors: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
    weight = tensors[step.weight].to(dtype)
    bias = None if step.bias < 0 else tensors[step.bias].to(dtype)
    if step.source[:2] == step.result[:2] == step.kernel == (1, 1) and not step.transposed:
        return F.linear(x, weight.flatten(1), bias)
    height, width, channels = step.source
    map = x.reshape(-1, height, width, channels).permute(0, 3, 1, 2)
    if step.transposed:
        extra = _output_padding(step)
        y = F.conv_transpose2d(map, weight, bias, step.stride, step.padding, extra)
    else:
        y = F.conv2d(map, weight, bias, step.stride, step.padding)
    return y.permute(0, 2, 3, 1).flatten(1)


def _output_padding(step: Convolution) -> list[int]:
    axes = zip(step.result[:2], step.source[:2], step.stride, step.padding, step.kernel, strict=True)
    return [result - ((source - 1) * stride - 2 * pad + kernel) for result, source, stride, pad, kernel in axes]


def _scale(x: Tensor, step: Affine, tensors: Sequence[Tensor], c: Tensor | None) -> Tensor:
    scale, shift = tensors[step.scale], tensors[step.shift]
    if step.classes:
        scale, shift = F.embedding(c, scale), F.embedding(c, shift)
    maps = x.float().reshape(x.shape[0], -1, step.channels)
    return torch.addcmul(shift.unsqueeze(1), scale.unsqueeze(1), maps).flatten(1)


def _activate(x: Tensor, step: Activation) -> Tensor:
    if step.kind == "leaky_relu":
        return F.leaky_relu(x, step.negative_slope)
    return F.relu(x) if step.kind == "relu" else torch.tanh(x)
