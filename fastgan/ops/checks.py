"""Refusals of the chain operators, one sentence each, and arguments brought into the form that schemas have."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from fastgan.reference.affine_act import widened

ACTIVATIONS = ("none", "leaky_relu", "relu")


class Operator(Protocol):
    """What a check has to know of a chain operator."""

    name: str
    transposed: bool


def checked(
    op: Operator,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    scale: Tensor | None,
    shift: Tensor | None,
    activation: str,
    negative_slope: float,
) -> tuple[Tensor | None, Tensor | None]:
    """scale and shift in the statistics dtype. Raises ValueError or TypeError where an argument does not fit."""
    name, transposed = op.name, op.transposed
    if input.ndim != 4:
        raise ValueError(f"{name}: input must be [N, C_in, H, W], got {list(input.shape)}")
    channels = input.shape[1]
    channels_of_weight, outputs = (0, 1) if transposed else (1, 0)
    if weight.ndim != 4 or weight.shape[channels_of_weight] != channels:
        shape = f"[C_in={channels}, C_out, kH, kW]" if transposed else f"[C_out, C_in={channels}, kH, kW]"
        raise ValueError(f"{name}: weight must be {shape} to match input, got {list(weight.shape)}")
    if bias is not None and bias.shape != (weight.shape[outputs],):
        raise ValueError(f"{name}: bias must be [C_out={weight.shape[outputs]}] or None, got {list(bias.shape)}")
    if not input.is_floating_point():
        raise TypeError(f"{name}: input must have a floating dtype, got {_name(input.dtype)}")
    if not autocast_enabled(input):  # which brings them to one dtype
        for argument, tensor in (("weight", weight), ("bias", bias)):
            if tensor is not None and tensor.dtype != input.dtype:
                expected = f"{_name(input.dtype)} like input"
                raise TypeError(f"{name}: {argument} must be {expected}, got {_name(tensor.dtype)}")
    check_activation(name, activation, negative_slope, ACTIVATIONS)
    return checked_affine(name, input, scale, shift)


def autocast_enabled(x: Tensor) -> bool:
    """Whether autocast is on for the device of x, which may be one that knows no autocast."""
    device = x.device.type
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


def map_dtype(x: Tensor) -> torch.dtype:
    """The dtype of the maps of a chain that starts at x: autocast casts all but float64."""
    cast = x.is_floating_point() and x.dtype != torch.float64 and autocast_enabled(x)
    return torch.get_autocast_dtype(x.device.type) if cast else x.dtype


def check_activation(op: str, activation: str, negative_slope: float, activations: Sequence[str]) -> None:
    """Raises ValueError for an activation not among `activations` and a slope outside [0, 1]."""
    if activation not in activations:
        raise ValueError(f"{op}: activation must be one of {', '.join(activations)}, got {activation!r}")
    if not 0 <= negative_slope <= 1:
        raise ValueError(f"{op}: negative_slope must be in [0, 1], got {negative_slope}")


def checked_affine(
    op: str, input: Tensor, scale: Tensor | None, shift: Tensor | None
) -> tuple[Tensor | None, Tensor | None]:
    """scale and shift in the statistics dtype, which is what the operators take."""
    samples, channels = input.shape[:2]
    for name, tensor in (("scale", scale), ("shift", shift)):
        if tensor is not None and tuple(tensor.shape) not in ((1, channels), (samples, channels)):
            expected = f"[1, C={channels}] or [N={samples}, C={channels}]"
            raise ValueError(f"{op}: {name} must be {expected}, got {list(tensor.shape)}")
    dtype = widened(input.dtype)
    return None if scale is None else scale.to(dtype), None if shift is None else shift.to(dtype)


def pair(op: str, name: str, value: int | Sequence[int], least: int) -> list[int]:
    """`value` for height and width. Raises ValueError unless it is one integer or two, none below `least`."""
    both = [value, value] if isinstance(value, int) else list(value)
    if len(both) != 2 or not all(isinstance(each, int) and each >= least for each in both):
        raise ValueError(f"{op}: {name} must be one or two integers >= {least}, got {value!r}")
    return both


def check_output_size(op: str, input: Tensor, size: Sequence[int]) -> None:
    """Raises ValueError where nothing would come out."""
    if min(size) < 1:
        got = f"{list(input.shape)}, which gives {list(size)}"
        raise ValueError(f"{op}: input must be large enough for an output of 1 x 1, got {got}")


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
