"""From the graph of torch.fx to a plan: operations, rows of layers with one reader each, what may be dropped when."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx

from fastgan.fusion.plan import Operation, Plan, Ref
from fastgan.fusion.reads import Read

__all__ = ["plan_of_graph"]

_FUNCTIONS = {
    F.relu: "relu",
    torch.relu: "relu",
    torch.relu_: "relu",
    F.leaky_relu: "leaky_relu",
    F.leaky_relu_: "leaky_relu",
    torch.tanh: "tanh",
    torch.tanh_: "tanh",
}
_METHODS = {"relu": torch.relu, "relu_": torch.relu_, "tanh": torch.tanh, "tanh_": torch.tanh_}


def plan_of_graph(graph: fx.Graph, constants: dict[str, Any], reads: tuple[Read, ...]) -> Plan:
    """The plan that a traced forward amounts to; constants and reads are what holds the trace to these."""
    tensors, operations, nodes, output = {}, [], [], None
    for node in graph.nodes:
        if node.op == "placeholder":
            tensors[node.target] = node.name
        elif node.op == "output":
            output = node
        else:
            nodes.append(node)
            operations.append(_operation(node))
    rows = _rows(nodes, operations)
    drops = _last_uses(nodes, output)
    row_of = {index: number for number, row in enumerate(rows) for index in row}
    operations = tuple(
        operation._replace(row=row_of.get(index), drops=drops.get(operation.name, ()))
        for index, operation in enumerate(operations)
    )
    ends = tuple(_readers(nodes[row[-1]], output) for row in rows)
    return Plan(tensors, constants, reads, operations, rows, ends, _references(output.args[0]))


def _operation(node: fx.Node) -> Operation:
    args, kwargs = _references(tuple(node.args)), _references(dict(node.kwargs))
    if node.op == "get_attr":
        return Operation(node.name, "tensor", node.target)
    if node.op == "call_module":
        return Operation(node.name, "module", node.target, args, kwargs)
    found = _activation(node)
    if found is not None:
        function, activation, slope = found
        return Operation(node.name, "activation", function, args[:1], {}, activation, slope)
    return Operation(node.name, "method" if node.op == "call_method" else "function", node.target, args, kwargs)


def _activation(node: fx.Node) -> tuple[Callable, str, float] | None:
    """The node as a function of one argument with its name and slope; None if it is not such an activation."""
    target = _METHODS.get(node.target) if node.op == "call_method" else node.target
    activation = _FUNCTIONS.get(target) if callable(target) else None
    rest, kwargs = list(node.args[1:]), dict(node.kwargs)
    plain = all(isinstance(each, (bool, int, float)) for each in [*rest, *kwargs.values()])
    if activation is None or not plain or not node.args or not isinstance(node.args[0], fx.Node):
        return None
    if activation == "tanh" and (rest or kwargs):
        return None
    names = ["negative_slope", "inplace"] if activation == "leaky_relu" else ["inplace"]
    kwargs.update(zip(names, rest, strict=False))
    slope = kwargs.get("negative_slope", 0.01) if activation == "leaky_relu" else 1.0
    return functools.partial(target, **kwargs), activation, slope


def _rows(nodes: list[fx.Node], operations: list[Operation]) -> tuple[tuple[int, ...], ...]:
    """Operations that take one feature map, linked where the next one is the only reader of the result."""
    index_of = {node: index for index, node in enumerate(nodes)}
    rows: list[list[int]] = []
    ending: dict[int, list[int]] = {}  # last index of a row -> the row
    for index, (node, operation) in enumerate(zip(nodes, operations, strict=True)):
        if not _takes_a_map(operation):
            continue
        before = index_of.get(node.args[0])
        row = ending.pop(before, None) if before is not None and _read_once(node.args[0], node) else None
        if row is None:
            row = []
            rows.append(row)
        row.append(index)
        ending[index] = row
    return tuple(tuple(row) for row in rows)


def _readers(value: fx.Node, output: fx.Node) -> str:
    """Who reads a value, for the report."""
    if len(value.users) > 1:
        return f"its result is read {len(value.users)} times"
    return "forward returns it" if output in value.users else f"{next(iter(value.users), 'nobody')} reads it"


def _takes_a_map(operation: Operation) -> bool:
    """Whether it is called with a value, or with a value and labels, and nothing else."""
    if operation.kind not in ("module", "activation") or operation.kwargs:
        return False
    return 1 <= len(operation.args) <= 2 and all(isinstance(each, Ref) for each in operation.args)


def _read_once(value: fx.Node, reader: fx.Node) -> bool:
    return list(value.users) == [reader] and list(reader.args).count(value) == 1


def _last_uses(nodes: list[fx.Node], output: fx.Node) -> dict[str, tuple[str, ...]]:
    """Operation -> results that nobody reads after it."""
    last: dict[fx.Node, fx.Node] = {}
    for node in [*nodes, output]:
        last.setdefault(node, node)
        for value in node.all_input_nodes:
            last[value] = node
    drops: dict[str, tuple[str, ...]] = {}
    for value, node in last.items():
        if node is not output:
            drops[node.name] = (*drops.get(node.name, ()), value.name)
    return drops


def _references(value: Any) -> Any:
    """An argument of a node with `Ref`s for nodes, in plain collections."""
    if isinstance(value, fx.Node):
        return Ref(value.name)
    if isinstance(value, (tuple, list)):
        return (list if isinstance(value, list) else tuple)(_references(each) for each in value)
    if isinstance(value, dict):
        return {key: _references(each) for key, each in value.items()}
    if isinstance(value, slice):
        return slice(*(_references(each) for each in (value.start, value.stop, value.step)))
    return value
