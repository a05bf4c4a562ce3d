"""Tracing a module's own forward into a plan, with every module it calls as one operation.

torch.fx records what is done to the arguments. What it would lose without a word is refused here: results that
depend on more than the arguments and the attributes in `reads`, and what happens besides them.
"""

from __future__ import annotations

import io
import operator
import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor, fx, nn

from fastgan.fusion.lowering import plan_of_graph
from fastgan.fusion.plan import Plan
from fastgan.fusion.reads import Read, Untraceable, recorded

__all__ = ["trace"]

_lock = threading.RLock()  # a trace patches nn.Module while it runs

_IN_PLACE = ("iadd", "isub", "imul", "itruediv", "ifloordiv", "imod", "ipow", "imatmul", "iand", "ior", "ixor")


def trace(module: nn.Module, forward: Callable, tensors: tuple[str, ...], constants: dict[str, Any]) -> Plan:
    """The plan of `forward` of the module's class, called with tensors and constants under these names.

    Raises Untraceable with the reason.
    """
    tracer = _Tracer(forward, tensors, constants)
    with _lock, torch.inference_mode(False), torch.enable_grad(), _nothing_else_happens(module):
        try:
            with recorded(module, tracer.tensor_at) as found:
                graph = tracer.trace(module)
        except Untraceable:
            raise
        except Exception as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise Untraceable(tracer.refused or lines[0].rstrip(".")) from error
    if tracer.refused:
        raise Untraceable(tracer.refused)
    reads = tuple(Read(path, name, answer) for (path, name), answer in found.items())
    return plan_of_graph(graph, constants, reads)


class _Value(fx.Proxy):
    """A value in the trace. What would need the real one raises, for good: forward may not go on without it."""

    @property
    def __class__(self) -> type:
        asker = sys._getframe(1)
        tracing = asker.f_globals.get("__name__", "").partition(".")[0] in ("torch", "fastgan")
        if not tracing or asker.f_code.co_name in ("is_tensor", "is_storage"):
            self.tracer.refuse("it asks for the type of a value, which is not there yet in a trace")
        return _Value

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in ("node", "tracer"):
            self.tracer.refuse(f"it sets {name} of a value")
        object.__setattr__(self, name, value)

    def _number(self) -> Any:
        self.tracer.refuse("it makes a Python number of a value, which is not there yet in a trace")

    __float__ = __int__ = __index__ = __complex__ = __len__ = _number


def _in_place(name: str) -> Callable:
    def method(self: _Value, other: Any) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", getattr(operator, name), (self, other), {})

    return method


for _name in _IN_PLACE:
    setattr(_Value, f"__{_name}__", _in_place(_name))


class _Tracer(fx.Tracer):
    proxy_buffer_attributes = True

    def __init__(self, forward: Callable, tensors: tuple[str, ...], constants: dict[str, Any]):
        super().__init__()
        self._forward, self._tensors, self._constants = forward, tensors, constants
        self._attributes: dict[str, fx.Proxy] = {}
        self._modes: tuple | None = None
        self.refused: str | None = None

    def refuse(self, reason: str) -> NoReturn:
        """Raise Untraceable, and remember it should forward catch that."""
        self.refused = self.refused or reason
        raise Untraceable(reason)

    def to_bool(self, obj: fx.Proxy) -> bool:
        self.refuse("it decides by a value, which is not there yet in a trace")

    def iter(self, obj: fx.Proxy) -> Iterator:
        self.refuse("it goes through a value one by one, which is not there yet in a trace")

    def keys(self, obj: fx.Proxy) -> Any:
        self.refuse("it unpacks a value by name, which is not there yet in a trace")

    def create_args_for_root(self, root_fn: Callable, is_module: bool, concrete_args: Any = None) -> tuple:
        values = {name: self.create_proxy("placeholder", name, (), {}) for name in self._tensors}
        forward, constants = self._forward, self._constants

        def call(module: nn.Module) -> Any:
            return forward(module, **values, **constants)

        self._modes = _modes()
        return call, [self.root]

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True

    def tensor_at(self, path: str) -> fx.Proxy:
        """The tensor that is an attribute at this path."""
        if path not in self._attributes:
            self._attributes[path] = self.create_proxy("get_attr", path, (), {})
        return self._attributes[path]

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Value(node, self)

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        if self._modes is not None and _modes() != self._modes:
            self.refuse("it switches gradients or autocast, or calls an autograd.Function or a checkpoint")
        return super().create_node(*args, **kwargs)

    def create_arg(self, a: Any) -> Any:
        if isinstance(a, Tensor) and not isinstance(a, nn.Parameter):
            self.refuse("it makes a tensor that does not come from its arguments")
        return super().create_arg(a)


def _modes() -> tuple:
    """What a context manager around an operation changes. Inside an autograd.Function gradients are off."""
    nesting = torch.autocast_increment_nesting()
    torch.autocast_decrement_nesting()
    hooks = torch._C._autograd._top_saved_tensors_default_hooks(False)  # checkpointing works through these
    return torch.is_grad_enabled(), torch.is_inference_mode_enabled(), nesting, hooks


@contextmanager
def _nothing_else_happens(root: nn.Module) -> Iterator[None]:
    """Undo what a forward does to attributes and random numbers; raise Untraceable if it did that, or printed."""
    before = {module: _attributes(module) for module in root.modules()}
    drawn = torch.get_rng_state(), random.getstate(), np.random.get_state()
    changed, printed = None, io.StringIO()
    try:
        with redirect_stdout(printed):
            yield
    finally:
        now = torch.get_rng_state(), random.getstate(), np.random.get_state()
        for module, attributes in before.items():
            for name in _restore(module, attributes):
                changed = f"it changes self.{name}"
        if not _same(drawn, now):
            torch.set_rng_state(drawn[0])
            random.setstate(drawn[1])
            np.random.set_state(drawn[2])
            changed = "it draws random numbers that do not depend on its arguments"
    if printed.getvalue():
        changed = "it prints"
    if changed is not None:
        raise Untraceable(changed)


def _attributes(module: nn.Module) -> dict[str, tuple[Any, Any]]:
    """name -> (value, copy of it where it is a collection)."""
    collections = (list, dict, set)
    return {k: (v, v.copy() if isinstance(v, collections) else None) for k, v in vars(module).items()}


def _restore(module: nn.Module, before: dict[str, tuple[Any, Any]]) -> list[str]:
    """Put the attributes back; the names of those that had changed."""
    own, changed = vars(module), []
    for name in [name for name in own if name not in before]:
        changed.append(name)
        del own[name]
    for name, (value, copy) in before.items():
        if name not in own or own[name] is not value:
            changed.append(name)
            own[name] = value
        if copy is not None and not _same_items(value, copy):
            changed.append(name)
            value.clear()
            value.extend(copy) if isinstance(value, list) else value.update(copy)
    return changed


def _same_items(now: Any, before: Any) -> bool:
    if len(now) != len(before):
        return False
    if isinstance(now, set):
        return now == before
    if isinstance(now, dict):
        return all(name in before and now[name] is before[name] for name in now)
    return all(one is other for one, other in zip(now, before, strict=True))


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple):
        return len(one) == len(other) and all(_same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    return np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other
