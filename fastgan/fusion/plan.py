"""What a trace leaves: the operations of a module's own forward as data, and how they run with chains fused.

A plan names modules and tensors by path and reads them at every call, so that one plan serves every instance of
the class on which it `matches`: copies, replicas, what comes back from a pickle.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor, nn

from fastgan.fusion.layers import Layer, Runner, called_often, chains, expand, plan_of
from fastgan.fusion.reads import Read, unchanged

__all__ = ["Operation", "Plan", "Ref", "Row", "crosses", "execute", "matches", "rows_of"]


class Ref(NamedTuple):
    """In the arguments of an operation: the result of another."""

    name: str


class Operation(NamedTuple):
    """One node of the trace.

    kind: "module", "function", "method", "activation" or "tensor" (an attribute of the model); target: the path of
    the module or tensor, the function, the method's name, or for an activation a function of one argument.
    row: the index of the row of layers it belongs to, or None. drops: results nobody reads after it.
    """

    name: str
    kind: str
    target: Any
    args: tuple = ()
    kwargs: dict = {}  # noqa: RUF012 -- never written to
    activation: str | None = None
    negative_slope: float = 1.0
    row: int | None = None
    drops: tuple[str, ...] = ()


class Plan(NamedTuple):
    """tensors: parameter of forward -> name of its operation; constants: those that must have exactly this value.

    reads: what forward looked up on the way; rows: indices of operations, each the only reader of the one before;
    ends: for each row, who reads what comes out; output: what forward returns, with `Ref`s.
    """

    tensors: dict[str, str]
    constants: dict[str, Any]
    reads: tuple[Read, ...]
    operations: tuple[Operation, ...]
    rows: tuple[tuple[int, ...], ...]
    ends: tuple[str, ...]
    output: Any


class Row(NamedTuple):
    """A row of operations as layers at one call: layers[begin:end] of operation i are spans[i]."""

    layers: list[Layer]
    spans: dict[int, tuple[int, int]]


def matches(plan: Plan, module: nn.Module, given: dict[str, Any]) -> bool:
    """Whether forward would do on these arguments what it did when it was traced."""
    for name in plan.tensors:
        if not isinstance(given.get(name), Tensor):
            return False
    for name, value in given.items():
        if name not in plan.tensors and (name not in plan.constants or value is not plan.constants[name]):
            return False
    return unchanged(plan.reads, module)


def execute(plan: Plan, module: nn.Module, given: dict[str, Any]) -> Any:
    """The output of forward. Operations run in the order of the trace; in a row, results wait for each other."""
    values: dict[str, Any] = {alias: given[name] for name, alias in plan.tensors.items()}
    rows, often = rows_of(plan, module)
    steps = [plan_of(row.layers, often) for row in rows]
    for index, operation in enumerate(plan.operations):
        if operation.row is None:
            values[operation.name] = _call(operation, module, values)
        else:
            runner = _advance(operation, rows[operation.row].spans[index], steps[operation.row], values)
            values[operation.name] = runner.store() if plan.rows[operation.row][-1] == index else runner
            del runner  # or it would hold the map until the next row
        for name in operation.drops:
            del values[name]
    return _resolve(plan.output, values)


def _advance(operation: Operation, span: tuple[int, int], steps: list, values: dict[str, Any]) -> Runner:
    """Run the layers of an operation in a row, on the state its predecessor left or on a tensor."""
    source, *extra = (values[each.name] for each in operation.args)
    runner = source if isinstance(source, Runner) else Runner(source)
    runner.extra, runner.c = tuple(extra), extra[0] if extra else None
    for layer in range(*span):
        runner.advance(steps, layer)
    return runner


def rows_of(plan: Plan, module: nn.Module) -> tuple[list[Row], set[int]]:
    """The rows as they are now, and the ids of the modules that are called more than once."""
    rows = []
    for indices in plan.rows:
        layers: list[Layer] = []
        spans = {}
        for index in indices:
            begin = len(layers)
            layers += _layers(plan.operations[index], module)
            spans[index] = begin, len(layers)
        rows.append(Row(layers, spans))
    every = [layer for row in rows for layer in row.layers]
    for operation in plan.operations:
        if operation.row is None and operation.kind == "module":
            every += expand(operation.target, module.get_submodule(operation.target))
    return rows, called_often(every)


def crosses(plan: Plan, module: nn.Module) -> bool:
    """Whether some chain goes from one operation into another: else its modules are as good on their own."""
    rows, often = rows_of(plan, module)
    for row in rows:
        for chain in chains(plan_of(row.layers, often)):
            if not any(begin <= chain.first and chain.last < end for begin, end in row.spans.values()):
                return True
    return False


def _layers(operation: Operation, module: nn.Module) -> list[Layer]:
    if operation.kind == "activation":
        return [Layer(operation.name, operation.target, operation.activation, operation.negative_slope)]
    called = module.get_submodule(operation.target)
    if len(operation.args) > 1:
        return [Layer(operation.target, called, labelled=True)]
    return expand(operation.target, called)


def _call(operation: Operation, module: nn.Module, values: dict[str, Any]) -> Any:
    target = operation.target
    if operation.kind == "tensor":
        path, _, name = target.rpartition(".")
        return getattr(module.get_submodule(path), name)
    args = _resolve(operation.args, values)
    kwargs = _resolve(operation.kwargs, values)
    if operation.kind == "method":
        return getattr(args[0], target)(*args[1:], **kwargs)
    function: Callable = module.get_submodule(target) if operation.kind == "module" else target
    return function(*args, **kwargs)


def _resolve(value: Any, values: dict[str, Any]) -> Any:
    """The value with its `Ref`s replaced."""
    if isinstance(value, Ref):
        return values[value.name]
    if isinstance(value, (tuple, list)):
        return type(value)([_resolve(each, values) for each in value])
    if isinstance(value, dict):
        return {key: _resolve(each, values) for key, each in value.items()}
    if isinstance(value, slice):
        return slice(*(_resolve(each, values) for each in (value.start, value.stop, value.step)))
    return value
