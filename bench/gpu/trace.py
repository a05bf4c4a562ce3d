"""Records which operators a call runs, on tensors without memory: no device and no time are needed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


@dataclass(frozen=True)
class Array:
    """A tensor that an operator read or wrote."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def count(self) -> int:
        return torch.Size(self.shape).numel()

    @property
    def bytes(self) -> int:
        return self.count * self.dtype.itemsize


@dataclass(frozen=True)
class Operation:
    """One call of an operator: `name` without its overload, arguments and results with an Array for each tensor."""

    name: str
    arguments: tuple[Any, ...]
    results: tuple[Any, ...]

    @property
    def read(self) -> list[Array]:
        return _arrays(self.arguments)

    @property
    def written(self) -> list[Array]:
        return _arrays(self.results)


def recorded(call: Callable[[], Any]) -> list[Operation]:
    """The operators that `call` runs, in order, those of its backward passes included."""
    recorder = _Recorder()
    with recorder:
        call()
    return recorder.operations


class _Recorder(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.operations: list[Operation] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        results = result if isinstance(result, tuple | list) else (result,)
        # Keyword arguments come behind, in the schema's order.
        behind = [value for value in (kwargs or {}).values() if tree_leaves(value)]
        everything = torch.utils._pytree.tree_map(_array, (*args, *behind))
        self.operations.append(Operation(_name(func), everything, torch.utils._pytree.tree_map(_array, tuple(results))))
        return result


def _name(func: Any) -> str:
    return str(func).rpartition(".")[0]


def _array(value: Any) -> Any:
    return Array(tuple(value.shape), value.dtype) if isinstance(value, Tensor) else value


def _arrays(tree: Any) -> list[Array]:
    return [leaf for leaf in tree_leaves(tree, is_leaf=lambda leaf: isinstance(leaf, Array)) if isinstance(leaf, Array)]
