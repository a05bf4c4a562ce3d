"""The generated classes: a container keeps its children and its `__dict__`, its class gets another forward.

One subclass is made for each class, under its name. A copy or a pickle of an instance is an instance of it again:
what is stored is the class it was made from.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from torch import nn

from fastgan.fusion import sequential, traced
from fastgan.fusion.layers import is_sequential

__all__ = ["fused_class", "is_fused", "original_class"]

_generated: weakref.WeakKeyDictionary[type, weakref.ref] = weakref.WeakKeyDictionary()


def is_fused(module: nn.Module) -> bool:
    """Whether the module's class is one of the generated ones, or one that somebody derived from it since."""
    return hasattr(type(module), "_fastgan_original")


def original_class(module: nn.Module) -> type:
    """The class the module had before `fuse_`; its class if it has not been fused."""
    return getattr(type(module), "_fastgan_original", type(module))


def fused_class(module: nn.Module) -> type:
    """The subclass of the module's class whose forward runs chains."""
    original = original_class(module)
    reference = _generated.get(original)
    made = reference() if reference is not None else None
    if made is None:
        made = _make(original, sequential.members() if is_sequential(module) else traced.members(original))
        _generated[original] = weakref.ref(made)  # a strong one would keep both classes for ever
    return made


def _make(original: type, members: dict[str, Any]) -> type:
    named = {name: getattr(original, name) for name in ("__module__", "__qualname__", "__doc__")}
    own = {"_fastgan_original": original, "__reduce_ex__": _reduce_ex}
    # An __init_subclass__ of the original, which may keep a register of classes by name, must not hear of this one.
    made = type(original)(original.__name__, (nn.Module,), {**named, **own, **members})
    made.__bases__ = (original,)
    return made


def _reduce_ex(self: nn.Module, protocol: int) -> Any:
    kind = next(each for each in type(self).__mro__ if "_fastgan_original" in vars(each))
    reduced = super(kind, self).__reduce_ex__(protocol)
    if isinstance(reduced, str):
        return reduced
    function, arguments, *state = reduced
    arguments = tuple(kind._fastgan_original if each is kind else each for each in arguments)
    return _rebuild, (function, arguments), *state


def _rebuild(function: Callable, arguments: tuple) -> nn.Module:
    """What a pickle or a copy of a fused module calls."""
    module = function(*arguments)
    module.__class__ = fused_class(module)
    return module
