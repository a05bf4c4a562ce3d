"""The forward of a fused Sequential."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from fastgan import chain
from fastgan.fusion.layers import children, run_layers

__all__ = ["members"]


def members() -> dict[str, Any]:
    """What the generated subclass of a Sequential defines."""
    return {"forward": _forward}


def _forward(self: nn.Sequential, input: Tensor) -> Tensor:
    # As torch has it: what is no tensor (a proxy of somebody's trace, a tuple), and what no backend is faster for.
    if not isinstance(input, Tensor) or not chain.pays(input):
        return nn.Sequential.forward(self, input)
    return run_layers(children(self), input)
