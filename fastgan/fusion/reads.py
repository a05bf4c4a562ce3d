"""What a forward looks up on modules while it is traced: its answers are part of the trace, so they are kept.

A trace is taken again for other answers; a fused forward that meets answers it has no trace for runs as written.
"""

from __future__ import annotations

import argparse
import enum
import inspect
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["Read", "Untraceable", "recorded", "unchanged"]

# Attributes that every module has: torch's own affairs, read all the time. `training` is the user's.
_INTERNAL = set(vars(nn.Module())) - {"training"}
_CONTAINERS = (nn.ModuleList, nn.ModuleDict, nn.Sequential, nn.ParameterList, nn.ParameterDict)
_PLAIN = (type(None), bool, int, float, complex, str, bytes, range, enum.Enum)
_PLAIN += (torch.dtype, torch.device, torch.memory_format, torch.layout)
_ABSENT, _TENSOR, _MODULE = "absent", "tensor", "module"  # answers; the others are pairs
_CODE = "code"


class Untraceable(Exception):
    """A forward that a trace would change; the message says why, in one phrase."""


class Read(NamedTuple):
    """Attribute `name` of the module at `path` was `answer` (a snapshot)."""

    path: str
    name: str
    answer: Any


def unchanged(reads: tuple[Read, ...], module: nn.Module) -> bool:
    """Whether every lookup would give the same answer today."""
    for path, name, answer in reads:
        try:
            if not _gives(module.get_submodule(path) if path else module, name, answer):
                return False
        except (AttributeError, Untraceable):
            return False
    return True


@contextmanager
def recorded(root: nn.Module, tensor_at) -> Iterator[dict[tuple[str, str], Any]]:
    """Collect what is looked up on root and the modules in it: (path, name) -> answer.

    tensor_at(path): what is given out in place of a tensor that is a plain attribute. Lookups whose answer a
    trace must not rely on raise Untraceable where they happen.
    """
    paths = {id(module): path for path, module in root.named_modules()}
    for module in root.modules():
        if type(module).__getattribute__ is not nn.Module.__getattribute__:
            raise Untraceable(f"{type(module).__name__} has a __getattribute__ of its own")
    found: dict[tuple[str, str], Any] = {}

    def look_up(module: nn.Module, name: str) -> Any:
        own = object.__getattribute__(module, "__dict__")
        path = paths.get(id(module))
        keys = name == "_modules" and isinstance(module, _CONTAINERS)
        if path is None or name.startswith("__") or (name in _INTERNAL and not keys):
            return object.__getattribute__(module, name)
        if name in own and isinstance(own[name], Tensor):
            found[path, name] = _TENSOR
            return tensor_at(f"{path}.{name}" if path else name)
        written = getattr(type(module), name, None)
        if name in own or not inspect.isroutine(written):
            found[path, name] = _answer(module, name)
        elif name != "forward" and written is not getattr(nn.Module, name, None):  # forward: torch.fx asks for it
            found[path, name] = _CODE, written
        return object.__getattribute__(module, name)

    nn.Module.__getattribute__ = look_up
    try:
        yield found
    finally:
        del nn.Module.__getattribute__


def _gives(module: nn.Module, name: str, answer: Any) -> bool:
    """Whether attribute `name` still has this answer. Plain code: torch.compile reads it."""
    if name == "_modules":
        return tuple(module._modules) == answer
    value = getattr(module, name, _ABSENT)
    if answer in (_TENSOR, _MODULE, _ABSENT):
        return value is answer if answer is _ABSENT else isinstance(value, Tensor if answer is _TENSOR else nn.Module)
    kind, was = answer
    if kind is _CODE:  # a method of the class, until somebody patches it
        return getattr(value, "__func__", value) is was
    return type(value) is kind and (value == was if isinstance(value, _PLAIN) else _snapshot(value, name) == answer)


def _answer(module: nn.Module, name: str) -> Any:
    """What to compare attribute `name` by: where it is a tensor or a module, that it is one; else a copy."""
    own = vars(module)
    if name == "_modules":
        return tuple(own[name])
    for kind, marker in (("_parameters", _TENSOR), ("_buffers", _TENSOR), ("_modules", _MODULE)):
        if name in own[kind]:
            return _snapshot(None, name) if own[kind][name] is None else marker
    try:
        value = object.__getattribute__(module, name)
    except AttributeError:
        return _ABSENT
    if isinstance(value, Tensor):
        return _TENSOR
    return _MODULE if isinstance(value, nn.Module) else _snapshot(value, name)


def _snapshot(value: Any, name: str) -> Any:
    """A copy of plain data that compares by value and type; Untraceable for anything else."""
    kind = type(value)
    if isinstance(value, (*_PLAIN, type, types.ModuleType)) or inspect.isroutine(value):
        return kind, value
    if isinstance(value, (tuple, list)):
        return kind, tuple(_snapshot(each, name) for each in value)
    if isinstance(value, (set, frozenset)):
        return kind, frozenset(_snapshot(each, name) for each in value)
    if isinstance(value, dict):
        return kind, tuple((_snapshot(key, name), _snapshot(each, name)) for key, each in value.items())
    if isinstance(value, (types.SimpleNamespace, argparse.Namespace)):
        return kind, _snapshot(vars(value), name)
    raise Untraceable(f"it reads self.{name}, a {kind.__name__}, which may change without notice")
