"""What generator and discriminator share: one chain of layers `main`, named taps into it, and checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fastgan.models.sizes import check_size
from fastgan.nn import chain

__all__ = ["Network", "check_config", "json_config"]


class Network(nn.Module):
    """A chain of layers `main` whose inner activations have names.

    Subclasses set the attributes `size`, `channels`, `width`, `num_classes` and `preset`. A layer with a
    positive attribute `num_classes` is called with the labels too.
    """

    def __init__(self, main: nn.Sequential, taps: Mapping[str, int]):
        super().__init__()
        self.main = main
        self._taps = dict(taps)  # name -> index in main of the layer whose output it is

    @property
    def taps(self) -> tuple[str, ...]:
        """Names of the inner activations that `features` can give, from input to output."""
        return tuple(self._taps)

    def _run(self, x: Tensor, c: Tensor | None, wanted: Iterable[str]) -> tuple[Tensor, dict[str, Tensor]]:
        """The output of the chain, and the activations named in `wanted`."""
        names = {self._taps[name]: name for name in wanted}
        x, found = chain.run(self.main, x, c, names)
        return x, {names[index]: activation for index, activation in found.items()}

    def _wanted(self, taps: Sequence[str] | None) -> tuple[str, ...]:
        if taps is None:
            return self.taps
        if isinstance(taps, str):
            taps = (taps,)
        for name in taps:
            if name not in self._taps:
                raise ValueError(
                    f"{type(self).__name__}.features: taps must be among {', '.join(self.taps)}, got {name!r}"
                )
        return tuple(taps)

    def _check_labels(self, c: Tensor | None, samples: int) -> None:
        name = type(self).__name__
        if not self.num_classes:
            if c is not None:
                raise ValueError(f"{name}: c must be None for a model without classes, got {list(c.shape)}")
            return
        expected = f"int64 [N={samples}] with labels from 0 to {self.num_classes - 1}"
        if c is None:
            raise ValueError(f"{name}: c must be {expected}, got None")
        if c.dtype != torch.int64 or c.shape != (samples,):
            raise ValueError(f"{name}: c must be {expected}, got {c.dtype} {list(c.shape)}")
        # Looking at values would wait for a GPU and break a compiled graph; there the lookup itself fails.
        if c.device.type == "cpu" and samples and not torch.compiler.is_compiling():
            low, high = c.min().item(), c.max().item()
            if low < 0 or high >= self.num_classes:
                raise ValueError(f"{name}: c must be {expected}, got labels from {low} to {high}")


def check_config(
    name: str,
    size: Sequence[int],
    preset: str,
    presets: Iterable[str],
    at_least: Mapping[str, tuple[int, int]],
) -> tuple[int, int]:
    """The size as a tuple, once everything a model is made from is found good.

    at_least: argument name -> (value, smallest allowed). `channels` is also held to at most 4.
    Raises ValueError or TypeError in one sentence.
    """
    size = check_size(size)
    for argument, (value, smallest) in at_least.items():
        if not isinstance(value, int) or value < smallest:
            raise ValueError(f"{name}: {argument} must be an integer >= {smallest}, got {value!r}")
    channels = at_least["channels"][0]
    if channels > 4:
        raise ValueError(f"{name}: channels must be 1, 2, 3 or 4, got {channels}")
    if preset not in presets:
        raise ValueError(f"{name}: preset must be one of {', '.join(presets)}, got {preset!r}")
    return size


def json_config(network: Network, names: Sequence[str]) -> dict[str, Any]:
    """The constructor's arguments as JSON values."""
    values = {name: getattr(network, name) for name in names}
    values["size"] = list(values["size"])
    return values
