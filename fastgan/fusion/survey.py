"""Looking through a model for containers that run chains: what `fuse_` acts on and `report` tells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import fx, nn
from torch.nn.utils import parametrize

from fastgan.fusion.classes import original_class
from fastgan.fusion.layers import Layer, called_often, chains, children, is_sequential, plan_of, why_called
from fastgan.fusion.plan import Plan, crosses, rows_of
from fastgan.fusion.reads import Untraceable
from fastgan.fusion.traced import plans_of
from fastgan.nn.blocks import ConvBnAct2d, ConvTransposeBnAct2d, LinearBnAct
from fastgan.nn.chain import has_hooks

__all__ = ["Alone", "Found", "FoundChain", "survey"]

_BLOCKS = (ConvBnAct2d, ConvTransposeBnAct2d, LinearBnAct)
_NO_FORWARD = (nn.ModuleList, nn.ModuleDict)


class FoundChain(NamedTuple):
    """layers: names, from first to last; ends: why it goes no further."""

    layers: tuple[str, ...]
    ends: str


class Alone(NamedTuple):
    """A layer that is called as it stands."""

    layer: str
    reason: str


class Found(NamedTuple):
    """A container: its chains and the other layers, or the reason why its forward stays as it is."""

    path: str
    module: nn.Module
    kind: str
    chains: tuple[FoundChain, ...] = ()
    alone: tuple[Alone, ...] = ()
    reason: str | None = None


def survey(model: nn.Module) -> list[Found]:
    """Every container of the model, outermost first; one that occurs twice, once."""
    return list(_visit("", model, None, set()))


def _visit(path: str, module: nn.Module, row_of: str | None, seen: set[int]) -> Iterator[Found]:
    """row_of: the path of the Sequential that runs this one's children among its own."""
    if id(module) in seen:
        return
    seen.add(id(module))
    closed = _why_closed(module)
    if closed is not None:
        yield Found(path, module, "closed", reason=closed)
        return
    runs = None  # who runs the layers of a Sequential in this one
    if is_sequential(module):
        runs = path if row_of is None else row_of
        found = _sequential(path, module)
        if row_of is not None:
            found = found._replace(alone=(), reason=f"its layers run among those of {row_of or 'the model'}")
        yield found
    elif _has_forward(module):
        yield _own_forward(path, module)
    for name, child in module.named_children():
        joins = is_sequential(child) and not has_hooks(child)
        yield from _visit(f"{path}.{name}" if path else name, child, runs if joins else None, seen)


def _why_closed(module: nn.Module) -> str | None:
    """Why neither the module nor what is in it is touched; None if it may be."""
    if isinstance(module, torch.jit.ScriptModule):
        return "it is TorchScript"
    if isinstance(module, fx.GraphModule):
        return "it is a graph that somebody generated"
    kinds = [each.__module__ for each in type(module).__mro__]
    if any(each.startswith("torch.distributed") and "fsdp" in each for each in kinds):
        return "FSDP shards its weights"
    if not is_sequential(module) and not isinstance(module, _BLOCKS) and kinds[0].split(".")[0] == "fastgan":
        return "it runs its own chains" if any(module.children()) else None
    return None


def _has_forward(module: nn.Module) -> bool:
    """Whether it has children and a forward that somebody wrote."""
    if isinstance(module, (*_NO_FORWARD, *_BLOCKS)) or not any(module.children()):
        return False
    kind = original_class(module)
    if parametrize.is_parametrized(module):  # under a class that torch made
        kind = kind.__bases__[0]
    return kind.__module__.split(".")[0] != "torch"


def _sequential(path: str, module: nn.Sequential) -> Found:
    layers = children(module, f"{path}." if path else "")
    found, alone = _chains_of(layers, called_often(layers), "the container ends")
    return Found(path, module, "sequential", tuple(found), tuple(alone), None if found else _nothing(alone))


def _own_forward(path: str, module: nn.Module) -> Found:
    if "forward" in vars(module):
        return Found(path, module, "forward", reason="its forward was replaced on the instance")
    if type(module).__call__ is not nn.Module.__call__:
        return Found(path, module, "forward", reason="it has a __call__ of its own")
    if parametrize.is_parametrized(module):
        return Found(path, module, "forward", reason="its own tensors are parametrised")
    try:
        plans = plans_of(module, original_class(module))
    except Untraceable as why:
        return Found(path, module, "forward", reason=f"its forward cannot be traced: {why}")
    plan = next((plan for plan in plans if crosses(plan, module)), None)
    if plan is None:
        reason = "its forward joins no two layers of a chain; what its modules do inside is theirs"
        return Found(path, module, "forward", reason=reason)
    return _forward_chains(path, module, plan)


def _forward_chains(path: str, module: nn.Module, plan: Plan) -> Found:
    rows, often = rows_of(plan, module)
    found, alone = [], []
    prefix = f"{path}." if path else ""
    for row, ends in zip(rows, plan.ends, strict=True):
        layers = [layer._replace(name=prefix + layer.name) for layer in row.layers]
        some, others = _chains_of(layers, often, ends)
        found += some
        alone += others
    return Found(path, module, "forward", tuple(found), tuple(alone))


def _chains_of(layers: Sequence[Layer], often: set[int], at_the_end: str) -> tuple[list[FoundChain], list[Alone]]:
    found, alone, inside = [], [], set()
    for first, last in chains(plan_of(layers, often)):
        inside.update(range(first, last + 1))
        ends = at_the_end
        if last + 1 < len(layers):
            ends = f"{_name(layers[last + 1])} is called"
        found.append(FoundChain(tuple(_name(each) for each in layers[first : last + 1]), ends))
    for index, layer in enumerate(layers):
        if index not in inside:
            alone.append(Alone(_name(layer), why_called(layer, often)))
    return found, alone


def _name(layer: Layer) -> str:
    return f"{layer.name} {type(layer.call).__name__}" if layer.activation is None else layer.name


def _nothing(alone: Sequence[Alone]) -> str:
    return "no two layers of it make a chain" if alone else "it is empty"
