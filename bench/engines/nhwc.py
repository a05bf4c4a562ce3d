"""Weights between torch's order and that of libraries whose maps are [N, H, W, C]. Needs numpy alone."""

from typing import Any

import numpy as np

from ..network import Arrays, Layer

# torch's axes -> theirs, by kind of layer; theirs are [H, W, in, out] for a convolution, [in, out] for a linear map.
_AXES = {"conv": (2, 3, 1, 0), "conv_transpose": (2, 3, 0, 1), "linear": (1, 0)}


def split(arrays: Arrays, letter: str, layers: list[Layer]) -> tuple[Arrays, Arrays]:
    """(what is trained, running statistics) of one network, in their order."""
    trained, kept = {}, {}
    for name, array in arrays.items():
        if name.startswith(letter):
            short = name[len(letter) :]
            (kept if "running" in short else trained)[short] = theirs(short, array, layers)
    return trained, kept


def theirs(name: str, array: np.ndarray, layers: list[Layer]) -> np.ndarray:
    axes = _axes(name, layers)
    return np.ascontiguousarray(array.transpose(axes)) if axes else array


def torchs(name: str, array: np.ndarray, layers: list[Layer]) -> np.ndarray:
    """The way back."""
    axes = _axes(name, layers)
    return np.ascontiguousarray(array.transpose(np.argsort(axes))) if axes else array


def updates(start: dict[str, Arrays], now: dict[str, Any], layers: dict[str, list[Layer]]) -> Arrays:
    """What each trained number has moved, named and laid out as torch has it; keys "g/" and "d/"."""
    return {
        f"update/{letter}{name}": torchs(name, np.asarray(now[letter][name]) - before, layers[letter])
        for letter, network in start.items()
        for name, before in network.items()
    }


def _axes(name: str, layers: list[Layer]) -> tuple[int, ...] | None:
    index, _, kind = name.partition(".")
    return _AXES.get(layers[int(index)]["kind"]) if kind == "weight" else None
