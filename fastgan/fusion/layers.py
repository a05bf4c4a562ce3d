"""Layers in a row, as a fused forward runs them: which make a chain, which are called as they stand.

Everything here looks at the modules at the moment it is called, so that hooks, flags and parametrisations that
came after `fuse_` count.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from fastgan.chain import FeatureMap
from fastgan.nn.batch_norm import ConditionalBatchNorm2d
from fastgan.nn.blocks import ConvBnAct2d, ConvTransposeBnAct2d
from fastgan.nn.chain import ChainRunner, Step, has_hooks, steps_of, why_alone

__all__ = [
    "Chain",
    "Layer",
    "Runner",
    "called_often",
    "chains",
    "children",
    "expand",
    "is_sequential",
    "plan_of",
    "run_layers",
    "why_called",
]

_WITH_LABELS = (ConditionalBatchNorm2d, ConvBnAct2d, ConvTransposeBnAct2d)
_STATELESS = (nn.LeakyReLU, nn.ReLU, nn.Tanh, nn.Identity)


class Layer(NamedTuple):
    """One call of a module, or of a function that is an activation.

    name: for the report. activation, negative_slope: what the function computes. labelled: a second argument goes in.
    """

    name: str
    call: Callable
    activation: str | None = None
    negative_slope: float = 1.0
    labelled: bool = False


class Chain(NamedTuple):
    """Layers first..last of a row run as a chain; the one after it, if any, is not part of it."""

    first: int
    last: int


class Runner(ChainRunner):
    """A ChainRunner over anybody's modules: they get the feature map and `extra`, whatever their attributes."""

    extra: tuple = ()

    def takes(self, conv: nn.Module) -> bool:
        return isinstance(self.state, (Tensor, FeatureMap)) and super().takes(conv)

    def call(self, module: Callable) -> None:
        self.state = module(self.store(), *self.extra)


def is_sequential(module: nn.Module) -> bool:
    """Whether a call of the module is a call of each child, one after the other, and nothing else."""
    kind = getattr(type(module), "_fastgan_original", type(module))
    same = (getattr(kind, name, None) is getattr(nn.Sequential, name) for name in ("forward", "__call__", "__iter__"))
    return issubclass(kind, nn.Sequential) and all(same) and "forward" not in vars(module)


def expand(name: str, module: nn.Module) -> list[Layer]:
    """The module as layers: a Sequential without hooks is its children, however deep; anything else is itself."""
    if is_sequential(module) and not has_hooks(module):
        return children(module, f"{name}.")
    return [Layer(name, module)]


def children(container: nn.Sequential, prefix: str = "") -> list[Layer]:
    """The layers that the Sequential calls."""
    return [layer for key, child in container._modules.items() for layer in expand(prefix + key, child)]


def called_often(layers: Sequence[Layer]) -> set[int]:
    """ids of the modules that occur more than once; activations, which have no state, may."""
    seen, often = set(), set()
    for layer in layers:
        if layer.activation is None and not isinstance(layer.call, _STATELESS):
            key = id(layer.call)
            (often if key in seen else seen).add(key)
    return often


def plan_of(layers: Sequence[Layer], often: Collection[int]) -> list[list[Step]]:
    """The steps of each layer; those whose id is in `often` are calls."""
    return [_steps(layer, often) for layer in layers]


def run_layers(layers: Sequence[Layer], x: Tensor) -> Tensor:
    """What calling the layers one after the other gives."""
    runner = Runner(x)
    plan = plan_of(layers, called_often(layers))
    for index in range(len(plan)):
        runner.advance(plan, index)
    return runner.store()


def chains(plan: Sequence[list[Step]]) -> list[Chain]:
    """The chains that `plan` makes: from a convolution as far as steps can wait, two layers at least."""
    found: list[Chain] = []
    first, raw = None, False  # raw: the last step was a convolution, whose statistics a batch norm can read
    for index, steps in enumerate(plan):
        kind = steps[0].kind
        goes_on = kind == "conv" or (first is not None and (kind == "activation" or (kind == "batch_norm" and raw)))
        if not goes_on or (kind == "conv" and first is None):
            if first is not None and index - 1 > first:
                found.append(Chain(first, index - 1))
            first = index if kind == "conv" else None
        raw = kind == "conv" and len(steps) == 1
    if first is not None and len(plan) - 1 > first:
        found.append(Chain(first, len(plan) - 1))
    return found


def why_called(layer: Layer, often: Collection[int]) -> str:
    """Why a layer is part of no chain, in one phrase."""
    module = layer.call
    if id(module) in often:
        return "it is called more than once"
    if isinstance(module, nn.SyncBatchNorm):
        return "SyncBatchNorm takes its statistics over all processes"
    if _steps(layer, often)[0].kind == "call":
        if layer.labelled:
            return "it is called with a second argument"
        if layer.activation is not None:
            return f"its negative_slope {layer.negative_slope} is outside [0, 1]"
        return why_alone(module)
    if _steps(layer, often)[0].kind == "conv":
        return "there is nothing after it that a chain could take in"
    return "there is no convolution in front of it that it could wait for"


def _steps(layer: Layer, often: Collection[int]) -> list[Step]:
    module = layer.call
    if layer.activation is not None:
        if layer.activation == "leaky_relu" and not 0 <= layer.negative_slope <= 1:
            return [Step("call", module)]
        return [Step("activation", module, layer.activation, layer.negative_slope)]
    # torch's own convolutions take an output size in that place; ours take labels, where they have classes.
    if id(module) in often or layer.labelled != (isinstance(module, _WITH_LABELS) and bool(module.num_classes)):
        return [Step("call", module)]
    return steps_of(module)
