"""The forward of a fused module that is no Sequential: plans of its own forward, one for each way it can go."""

from __future__ import annotations

import contextlib
import functools
import inspect
from typing import Any

from torch import Tensor, nn

from fastgan import chain
from fastgan.fusion.plan import Plan, execute, matches
from fastgan.fusion.reads import Untraceable, unchanged
from fastgan.fusion.trace import trace

__all__ = ["members", "plans_of"]

_MOST = 64  # plans of a class; instances that go yet other ways run as written


def plans_of(module: nn.Module, original: type) -> list[Plan]:
    """Plans of `original.forward` on this module, in training and evaluation where it asks which.

    Arguments without a default are tensors; those with one keep it, or, where it is None, are tensors together.
    Raises Untraceable with the reason when there is none.
    """
    tensors, constants = _parameters(original)
    optional = tuple(name for name, value in constants.items() if value is None)
    ways = [(tensors, constants)]
    if optional:
        rest = {name: value for name, value in constants.items() if name not in optional}
        ways.append((tensors + optional, rest))
    plans, refused = [], None
    for way in ways:
        try:
            plans += _in_both_modes(module, original, *way)
        except Untraceable as reason:
            refused = refused or reason
    if not plans:
        raise refused
    return plans


def members(original: type) -> dict[str, Any]:
    """What the generated subclass defines. It has the plans: one serves every instance that it matches."""
    written = original.forward
    names = list(inspect.signature(written).parameters)[1:]
    plans: list[Plan] = []

    @functools.wraps(written)
    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        given = dict(zip(names, args, strict=False))
        given.update(kwargs)
        # Too many arguments, or one twice: torch says so. And no plan where no backend is faster than torch.
        if len(given) == len(args) + len(kwargs) and any(_pays(each) for each in given.values()):
            for plan in plans:
                if matches(plan, self, given):
                    return execute(plan, self, given)
        return written(self, *args, **kwargs)

    def prepare(self: nn.Module) -> None:
        if len(plans) < _MOST and not ready(self):
            plans.extend(plans_of(self, original))

    def set_state(self: nn.Module, state: Any) -> None:
        original.__setstate__(self, state)
        # Another process has no plans yet, and a copy may have other attributes. Without a plan it runs as written:
        # no reason to fail, whatever state it came in.
        with contextlib.suppress(Exception):
            prepare(self)

    def ready(self: nn.Module) -> bool:
        return any(unchanged(plan.reads, self) for plan in plans)

    return {
        "forward": forward,
        "__setstate__": set_state,
        "_fastgan_prepare": prepare,
        "_fastgan_ready": ready,
    }


def _pays(argument: Any) -> bool:
    return isinstance(argument, Tensor) and (not argument.is_floating_point() or chain.pays(argument))


def _parameters(original: type) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Names of the parameters of forward without a default, and the others with theirs."""
    try:
        parameters = list(inspect.signature(original.forward).parameters.values())[1:]
    except (TypeError, ValueError) as error:
        raise Untraceable("its parameters cannot be told") from error
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    for each in parameters:
        if each.kind not in named:
            raise Untraceable(f"it takes {each}")
    required = tuple(each.name for each in parameters if each.default is each.empty)
    return required, {each.name: each.default for each in parameters if each.default is not each.empty}


def _in_both_modes(
    module: nn.Module, original: type, tensors: tuple[str, ...], constants: dict[str, Any]
) -> list[Plan]:
    plans = [trace(module, original.forward, tensors, constants)]
    if any(read.path == "" and read.name == "training" for read in plans[0].reads):
        before = module.training
        module.training = not before
        try:
            plans.append(trace(module, original.forward, tensors, constants))
        finally:
            module.training = before
    return plans
