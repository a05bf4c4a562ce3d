"""`report`: what `fuse_` has done to a model, what not, and why."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from fastgan import chain
from fastgan.fusion.classes import is_fused, original_class
from fastgan.fusion.survey import Alone, FoundChain, survey

__all__ = ["ContainerReport", "Report", "report"]


class ContainerReport(NamedTuple):
    """One container.

    path: its name in the model, "" for the model itself. kind: "sequential", "forward" (traced) or "closed".
    chains: those it runs as one, with the names of their layers and why they end (`layers`, `ends`).
    alone: layers called as they stand (`layer`, `reason`). reason: why the container is not fused, or None.
    """

    path: str
    class_name: str
    kind: str
    fused: bool
    chains: tuple[FoundChain, ...]
    alone: tuple[Alone, ...]
    reason: str | None


class Report(NamedTuple):
    """The containers of a model from the outside in; `print` shows them as a table.

    pays: whether the chains run on the operators for tensors like the model's own. If not, no backend there is
    faster than torch's modules, and these are called.
    """

    containers: tuple[ContainerReport, ...]
    pays: bool

    @property
    def fused(self) -> tuple[ContainerReport, ...]:
        """The containers with chains that run fused."""
        return tuple(each for each in self.containers if each.fused and each.chains)

    def __str__(self) -> str:
        if not any(each.chains for each in self.containers):
            head = "nothing to fuse"
        else:
            count = sum(len(each.chains) for each in self.fused)
            head = f"{count} {'chain' if count == 1 else 'chains'} fused in {len(self.fused)} of {len(self.containers)}"
            head += " container" if len(self.containers) == 1 else " containers"
        if self.fused and not self.pays:
            head += "; they run as torch has them, as no backend of ours is faster here"
        rows = [row for each in self.containers for row in _rows(each)]
        width = max((len(first) for first, _ in rows), default=0)
        return "\n".join([head, *(f"{first.ljust(width)}  {second}".rstrip() for first, second in rows)])


def report(model: nn.Module) -> Report:
    """What is fused in the model as it is now, hooks and flags included. Changes nothing.

    Raises TypeError if model is no torch.nn.Module.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"report: model must be a torch.nn.Module, got {type(model).__name__}")
    containers = []
    for found in survey(model):
        fused = is_fused(found.module)
        reason = found.reason
        if not fused and found.chains and reason is None:
            reason = "fuse_ has not been called on it"
        if fused and found.kind == "forward" and not found.module._fastgan_ready():
            reason = "what its forward reads has changed: it runs as written until fuse_ is called again"
            fused = False
        # Layers that run among an outer container's are told there.
        chains = () if found.reason is not None else found.chains
        name = original_class(found.module).__name__
        containers.append(ContainerReport(found.path, name, found.kind, fused, chains, found.alone, reason))
    like = next((each for each in model.parameters() if each.is_floating_point()), torch.empty(0))
    return Report(tuple(containers), chain.pays(like))


def _rows(container: ContainerReport) -> list[tuple[str, str]]:
    name = f"{container.path or '(the model)'} {container.class_name}"
    rows = [(name, "fused" if container.fused and container.reason is None else container.reason or "")]
    for layers, ends in container.chains:
        rows.append((f"  chain  {layers[0]} .. {layers[-1]}", f"{len(layers)} layers, then {ends}"))
    rows += [(f"  alone  {layer}", reason) for layer, reason in container.alone]
    return rows
