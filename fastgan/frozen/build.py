"""From operations in the order of the model to a plan: layouts resolved, batch norms folded, in float64.

Reshapes and permutations are not computed but followed: a `Value` knows, for every number of a sample as the model sees
it, where in the row of the plan it stands. When a step reads the value, what remains of the difference is folded into
the linear map before or behind it; only where there is none does the plan get a Permutation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fastgan.reference.frozen_generator import Activation, Affine, Convolution, Permutation, Plan, Step

SAMPLES = 5  # of the followed layouts: more than one, so that a reshape across samples shows


class Value:
    """What an operation of the model reads or gives: int64 [SAMPLES, ...], the places in the rows, one row a sample."""

    def __init__(self, places: Tensor, age: int):
        self.places = places
        self.age = age  # how many computing steps the plan had

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample."""
        return tuple(self.places.shape[1:])


@dataclass
class _Convolution:
    weight: Tensor
    bias: Tensor | None
    source: tuple[int, int, int]
    result: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    transposed: bool

    @property
    def is_linear(self) -> bool:
        return self.source[:2] == self.result[:2] == self.kernel == (1, 1) and not self.transposed

    def has(self, channels: int) -> bool:
        """Whether the results may be read as a map [H, W, channels]; any split of those of a linear map is one."""
        return self.result[2] == channels or (self.is_linear and self.result[2] % channels == 0)

    def scaled(self, scale: Tensor, shift: Tensor) -> None:
        """Take scale * x + shift [channels] of the results into the numbers."""
        repeats = self.result[2] // scale.numel()
        scale, shift = scale.repeat(repeats), shift.repeat(repeats)
        shape = (1, -1, 1, 1) if self.transposed else (-1, 1, 1, 1)
        self.weight = self.weight * scale.view(shape)
        self.bias = shift if self.bias is None else self.bias * scale + shift


@dataclass
class _Affine:
    scale: Tensor  # [1 or classes, channels]
    shift: Tensor


class Builder:
    """Takes the operations one by one and gives the plan. Complaints are ValueErrors that begin with `where`."""

    def __init__(self, input_shape: Sequence[int]):
        self.input_shape = tuple(input_shape)
        self.num_classes = 0
        self._steps: list[_Convolution | _Affine | Activation | Tensor] = []  # a Tensor permutes
        self._age = 0
        self._size = math.prod(self.input_shape)

    def start(self) -> Value:
        """The latents as the model gets them: [N, F], or [N, C, H, W], which lie as H, W, C in the row."""
        places = self._rows()
        if len(self.input_shape) == 3:
            channels, height, width = self.input_shape
            places = places.view(SAMPLES, height, width, channels).permute(0, 3, 1, 2)
        return Value(places, self._age)

    def reshaped(self, value: Value, places: Tensor, where: str) -> Value:
        """`value` in another shape: its places after the same reshape."""
        if places.shape[:1] != (SAMPLES,) or places.numel() != value.places.numel():
            raise ValueError(f"{where} does not keep each sample by itself as dimension 0")
        return Value(places, value.age)

    def linear(self, value: Value, weight: Tensor, bias: Tensor | None, where: str) -> Value:
        """weight [out, in], bias [out] or None."""
        self._check_numbers(where, weight, bias)
        self._check_latest(value, where)
        if len(value.shape) != 1 or value.shape[0] != weight.shape[1]:
            raise ValueError(f"{where} must read [N, {weight.shape[1]}], here it reads {_shown(value)}")
        ordered = torch.empty_like(weight, dtype=torch.float64)
        ordered[:, self._order(value, where)] = weight.double()
        return self._linear(ordered, _double(bias))

    def convolution(
        self,
        value: Value,
        weight: Tensor,
        bias: Tensor | None,
        stride: Sequence[int],
        padding: Sequence[int],
        output_padding: Sequence[int],
        transposed: bool,
        where: str,
    ) -> Value:
        """weight [out, in, kH, kW], transposed [in, out, kH, kW]; bias [out] or None."""
        self._check_numbers(where, weight, bias)
        inside = weight.shape[0 if transposed else 1]
        if len(value.shape) != 3 or value.shape[0] != inside:
            raise ValueError(f"{where} must read [N, {inside}, H, W], here it reads {_shown(value)}")
        self._settle(value, where)
        size, kernel = value.shape[1:], tuple(weight.shape[2:])
        stride, padding = tuple(stride), tuple(padding)
        axes = list(zip(size, kernel, stride, padding, output_padding, strict=True))
        if transposed:
            result = tuple((n - 1) * s - 2 * p + k + extra for n, k, s, p, extra in axes)
        else:
            result = tuple((n + 2 * p - k) // s + 1 for n, k, s, p, _ in axes)
        if min(result) < 1:
            raise ValueError(f"{where} gives maps of {result[0]}x{result[1]} from {size[0]}x{size[1]}")
        weight, bias = weight.double(), _double(bias)
        if transposed and size == (1, 1):
            return self._spread(weight, bias, padding, result)
        source, result = (*size, inside), (*result, weight.shape[1 if transposed else 0])
        self._steps.append(_Convolution(weight, bias, source, result, kernel, stride, padding, transposed))
        return self._computed(result)

    def affine(self, value: Value, scale: Tensor, shift: Tensor, classes: int, where: str) -> Value:
        """scale * x + shift along dimension 1: float64 [1, C], or [classes, C] for a map chosen by label."""
        self._check_numbers(where, scale, shift)
        channels = scale.shape[1]
        if len(value.shape) not in (1, 3) or value.shape[0] != channels:
            raise ValueError(f"{where} must read {channels} channels or features, here it reads {_shown(value)}")
        if classes and self.num_classes not in (0, classes):
            raise ValueError(f"{where} has {classes} classes, one before it {self.num_classes}")
        self.num_classes = self.num_classes or classes
        self._settle(value, where)
        last = self._steps[-1] if self._steps else None
        if isinstance(last, _Affine) and last.scale.shape[1] == channels:  # tables broadcast over a single row
            last.shift = scale * last.shift + shift
            last.scale = scale * last.scale
        elif isinstance(last, _Convolution) and len(scale) == 1 and last.has(channels):
            last.scaled(scale[0], shift[0])
        else:
            if isinstance(last, _Convolution) and last.bias is not None and last.bias.numel() == channels:
                shift = scale * last.bias + shift
                last.bias = None
            self._steps.append(_Affine(scale, shift))
        return self._advanced(value.shape)

    def activation(self, value: Value, kind: str, negative_slope: float, where: str) -> Value:
        """kind as in `fastgan.reference.affine_act`."""
        self._check_latest(value, where)
        if kind == "none":
            return value
        self._steps.append(Activation(kind, float(negative_slope)))
        self._age += 1
        return Value(value.places, self._age)

    def finish(self, value: Value, where: str) -> tuple[Plan, list[Tensor]]:
        """The plan that ends in `value`, and its tensors: float32, permutations int64."""
        if len(value.shape) not in (1, 3):
            raise ValueError(f"{where} must give images [N, C, H, W], it gives {_shown(value)}")
        if not any(isinstance(step, _Convolution) for step in self._steps):
            raise ValueError(f"{where} has neither a linear map nor a convolution")
        self._settle(value, where)
        steps, names, tensors = [], [], []
        for number, draft in enumerate(self._steps):
            step, parts = _as_step(draft, len(names))
            steps.append(step)
            names += [f"{name}{number}" for name in parts]
            tensors += parts.values()
        return Plan(self.input_shape, value.shape, self.num_classes, tuple(names), tuple(steps)), tensors

    def _rows(self) -> Tensor:
        return torch.arange(SAMPLES * self._size).view(SAMPLES, self._size)

    def _linear(self, weight: Tensor, bias: Tensor | None) -> Value:
        rows, columns = weight.shape
        shapes = (1, 1, columns), (1, 1, rows), (1, 1), (1, 1), (0, 0)
        self._steps.append(_Convolution(weight[:, :, None, None], bias, *shapes, False))
        return self._computed((rows,))

    def _spread(self, weight: Tensor, bias: Tensor | None, padding: tuple[int, int], result: tuple[int, ...]) -> Value:
        """A transposed convolution of one pixel is a linear map to [H, W, C]: no taps that find nothing."""
        inside, outside, *kernel = weight.shape
        full = weight.new_zeros(result[0] + padding[0], result[1] + padding[1], outside, inside)
        rows, columns = (min(full.shape[i], kernel[i]) for i in (0, 1))
        full[:rows, :columns] = weight[:, :, :rows, :columns].permute(2, 3, 1, 0)
        full = full[padding[0] :, padding[1] :]
        self._linear(full.reshape(-1, inside), None if bias is None else bias.repeat(result[0] * result[1]))
        return self._computed((*result, outside))

    def _computed(self, result: tuple[int, ...]) -> Value:
        """The value after a step that wrote H, W, C or F numbers a sample, in order."""
        self._size = math.prod(result)
        return self._advanced((result[-1], *result[:-1]))

    def _advanced(self, shape: tuple[int, ...]) -> Value:
        """The value after a step that left the row in the order of `shape`, F or C, H, W."""
        self._age += 1
        places = self._rows()
        if len(shape) == 3:
            channels, height, width = shape
            places = places.view(SAMPLES, height, width, channels).permute(0, 3, 1, 2)
        return Value(places, self._age)

    def _order(self, value: Value, where: str) -> Tensor:
        """The places of a sample's numbers in the order H, W, C, or F."""
        places = value.places.movedim(1, -1).flatten(1)
        if not torch.equal(places, places[0] + self._size * torch.arange(SAMPLES).view(-1, 1)):
            raise ValueError(f"{where} reads values that mix samples")
        return places[0]

    def _settle(self, value: Value, where: str) -> None:
        """Bring the row into the order in which a step reads `value`."""
        self._check_latest(value, where)
        order = self._order(value, where)
        if torch.equal(order, torch.arange(len(order))):
            return
        for back in range(len(self._steps) - 1, -1, -1):
            step = self._steps[back]
            if isinstance(step, _Convolution) and step.is_linear:
                return self._permute_behind(back, order)
            if not isinstance(step, Activation) and not (
                isinstance(step, _Affine) and step.scale.shape[1] == len(order)
            ):
                break
        self._steps.append(order)

    def _permute_behind(self, back: int, order: Tensor) -> None:
        """Permute the results of the linear map in step `back` by permuting its numbers."""
        linear, *others = self._steps[back:]
        linear.weight = linear.weight[order]
        linear.bias = None if linear.bias is None else linear.bias[order]
        for step in others:
            if isinstance(step, _Affine):
                step.scale, step.shift = step.scale[:, order], step.shift[:, order]

    def _check_latest(self, value: Value, where: str) -> None:
        if value.age != self._age:
            raise ValueError(f"{where} reads a value that something else reads too; a plan is one chain")

    def _check_numbers(self, where: str, *tensors: Tensor | None) -> None:
        if not all(tensor is None or bool(tensor.isfinite().all()) for tensor in tensors):
            raise ValueError(f"{where} has numbers that are not finite")


def _as_step(draft: _Convolution | _Affine | Activation | Tensor, place: int) -> tuple[Step, dict[str, Tensor]]:
    """The step, and its tensors by the beginnings of their names; the first gets `place`."""
    if isinstance(draft, Activation):
        return draft, {}
    if isinstance(draft, Tensor):
        return Permutation(place, len(draft)), {"index": draft}
    if isinstance(draft, _Affine):
        classes, channels = draft.scale.shape
        affine = Affine(place, place + 1, channels, classes if classes > 1 else 0)
        return affine, {"scale": _single(draft.scale), "shift": _single(draft.shift)}
    parts = {"weight": _single(draft.weight)}
    if draft.bias is not None:
        parts["bias"] = _single(draft.bias)
    geometry = draft.source, draft.result, draft.kernel, draft.stride, draft.padding, draft.transposed
    return Convolution(place, place + 1 if "bias" in parts else -1, *geometry), parts


def _single(numbers: Tensor) -> Tensor:
    return numbers.float().contiguous().clone()


def _double(numbers: Tensor | None) -> Tensor | None:
    return None if numbers is None else numbers.double()


def _shown(value: Value) -> str:
    return str(["N", *value.shape]).replace("'", "")
