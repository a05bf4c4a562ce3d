"""A forward that torch.fx has written down as a graph, followed into a plan."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from fastgan.frozen.build import Builder, Value

__all__ = ["TAKEN", "Follower", "Labels", "batch_norm", "convolution", "read"]

TAKEN = "linear map, batch norm, LeakyReLU, ReLU, Tanh, reshape, (transposed) convolution"

# Functions by the name of the method that does the same.
_FUNCTIONS: dict[Any, str] = {
    **{F.relu: "relu", F.relu_: "relu", torch.relu: "relu", torch.relu_: "relu"},
    **{F.tanh: "tanh", torch.tanh: "tanh", F.leaky_relu: "leaky_relu", F.leaky_relu_: "leaky_relu"},
    **{F.linear: "linear", F.conv2d: "conv2d", F.conv_transpose2d: "conv_transpose2d", F.batch_norm: "batch_norm"},
    **{F.dropout: "dropout", F.dropout2d: "dropout", torch.flatten: "flatten", torch.unflatten: "unflatten"},
    **{torch.reshape: "reshape", torch.permute: "permute", torch.transpose: "transpose", torch.movedim: "movedim"},
    **{torch.squeeze: "squeeze", torch.unsqueeze: "unsqueeze", operator.getitem: "__getitem__"},
}
_IN_PLACE = {"relu_": "relu", "tanh_": "tanh"}
_RESHAPES = {
    *("view", "reshape", "flatten", "unflatten", "permute", "transpose", "movedim", "squeeze", "unsqueeze"),
    "__getitem__",
}
_NOTHING = {"contiguous", "clone", "detach"}
_FACTS = {"shape", "ndim", "size", "dim"}


class Labels:
    """Stands for c while a forward is followed."""


class Follower:
    """Runs a graph with Values in place of feature maps; what has nothing to do with them is computed as it stands."""

    def __init__(
        self,
        root: nn.Module,
        builder: Builder,
        labels: Labels,
        forward: str,
        call: Callable[[str, Value], Value],
    ):
        """forward: what to call the function in messages; call: takes a submodule by its name into the plan."""
        self.root = root
        self.builder = builder
        self.labels = labels
        self.forward = forward
        self.call = call

    def follow(self, graph: fx.Graph, value: Value) -> Value:
        """The value that the graph returns. Raises ValueError for an operation that a plan does not have."""
        inputs: list[Any] = [value, self.labels]
        found: dict[fx.Node, Any] = {}
        for node in graph.nodes:
            args, kwargs = fx.node.map_arg((node.args, node.kwargs), found.__getitem__)
            if node.op == "placeholder":
                found[node] = inputs.pop(0) if inputs else (args[0] if args else None)
            elif node.op == "get_attr":
                found[node] = operator.attrgetter(node.target)(self.root)
            elif node.op == "output":
                break
            elif not _holds(Value | Labels, args, kwargs):
                found[node] = self._compute(node, args, kwargs)
            elif node.op == "call_module":
                found[node] = self._call_module(node.target, args, kwargs)
            else:
                found[node] = self._call(node, args, kwargs)
        if not isinstance(args[0], Value):
            raise ValueError(f"freeze: {self.forward} must return one tensor made from its first argument")
        return args[0]

    def _compute(self, node: fx.Node, args: tuple, kwargs: dict) -> Any:
        if node.op == "call_method":
            return getattr(args[0], node.target)(*args[1:], **kwargs)
        function = self.root.get_submodule(node.target) if node.op == "call_module" else node.target
        return function(*args, **kwargs)

    def _call_module(self, target: str, args: tuple, kwargs: dict) -> Value:
        first, *others = (*args, *kwargs.values())
        if not isinstance(first, Value) or not all(isinstance(each, Labels) for each in others):
            layer = type(self.root.get_submodule(target)).__name__
            raise ValueError(f"freeze: {target} ({layer}) in {self.forward} is none of {TAKEN} of the map alone")
        return self.call(target, first)

    def _call(self, node: fx.Node, args: tuple, kwargs: dict) -> Any:
        if node.op == "call_method":
            name = _IN_PLACE.get(node.target, node.target)
        elif node.target is getattr:
            name = args[1] if args[1] in _FACTS else f"attribute {args[1]}"
        else:
            name = _FUNCTIONS.get(node.target, "")
        shown = name or getattr(node.target, "__name__", str(node.target))
        where = f"freeze: {shown} in {self.forward}"
        alone = bool(args) and isinstance(args[0], Value) and not _holds(Value | Labels, args[1:], kwargs)
        result = self._operation(name, *args, where=where, **kwargs) if alone else NotImplemented
        if result is NotImplemented:
            raise ValueError(f"{where} is none of {TAKEN}")
        return result

    def _operation(self, name: str, value: Value, *args: Any, where: str, **kwargs: Any) -> Any:
        """The result of a method of `value`, NotImplemented for one that a plan does not have."""
        if name in _FACTS:
            fact = getattr(value.places, name)
            return fact(*args, **kwargs) if callable(fact) else fact
        if name in _NOTHING:
            return value
        if name in _RESHAPES:
            return self._reshape(name, value, args, kwargs, where)
        arguments = _SIGNATURES[name](*args, **kwargs) if name in _SIGNATURES else None
        if name in ("relu", "tanh"):
            return self.builder.activation(value, name, 1.0, where)
        if name == "leaky_relu":
            return self.builder.activation(value, name, arguments[0], where)
        if name == "linear":
            return self.builder.linear(value, read(arguments[0]), read(arguments[1]), where)
        if name in ("conv2d", "conv_transpose2d"):
            weight, bias, *options = arguments
            return convolution(self.builder, value, read(weight), read(bias), *options, name != "conv2d", where)
        if name == "batch_norm" and not arguments[-1]:
            return batch_norm(self.builder, value, *arguments[:-1], 0, where)
        if name == "dropout" and not arguments[0]:
            return value
        return NotImplemented

    def _reshape(self, name: str, value: Value, args: tuple, kwargs: dict, where: str) -> Value:
        # A view that torch would give may need a copy of the places, whose order in memory is another.
        method = "reshape" if name == "view" else name
        try:
            places = getattr(value.places, method)(*args, **kwargs)
        except (RuntimeError, TypeError, IndexError) as error:
            raise ValueError(f"{where} does not fit [N, {', '.join(map(str, value.shape))}]: {error}") from None
        return self.builder.reshaped(value, places, where)


# The arguments after the input that count, in one order, as torch.nn.functional has them.
_SIGNATURES: dict[str, Callable[..., tuple]] = {
    "leaky_relu": lambda negative_slope=0.01, inplace=False: (negative_slope,),
    "linear": lambda weight, bias=None: (weight, bias),
    "conv2d": lambda weight, bias=None, stride=1, padding=0, dilation=1, groups=1: (
        *(weight, bias, stride, padding),
        *(0, dilation, groups),
    ),
    "conv_transpose2d": lambda weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1: (
        *(weight, bias, stride, padding),
        *(output_padding, dilation, groups),
    ),
    "batch_norm": lambda running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5: (
        *(running_mean, running_var, weight, bias),
        *(eps, training),
    ),
    "dropout": lambda p=0.5, training=True, inplace=False: (training,),
}


def convolution(
    builder: Builder,
    value: Value,
    weight: Tensor,
    bias: Tensor | None,
    stride: int | Sequence[int],
    padding: int | Sequence[int] | str,
    output_padding: int | Sequence[int],
    dilation: int | Sequence[int],
    groups: int,
    transposed: bool,
    where: str,
) -> Value:
    """`builder.convolution` with torch's arguments, numbers or pairs."""
    if groups != 1:
        raise ValueError(f"{where} has {groups} groups; a frozen generator has convolutions of one group")
    if any(each != 1 for each in _pair(dilation)):
        raise ValueError(f"{where} is dilated by {dilation}; a frozen generator has no dilation")
    if isinstance(padding, str):
        kernel = weight.shape[2:]
        if padding == "same" and any(k % 2 == 0 for k in kernel):
            raise ValueError(f"{where} has padding 'same' for an even kernel, which pads one side more than the other")
        padding = [k // 2 if padding == "same" else 0 for k in kernel]
    pairs = _pair(stride), _pair(padding), _pair(output_padding)
    return builder.convolution(value, weight, bias, *pairs, transposed, where)


def batch_norm(
    builder: Builder,
    value: Value,
    mean: Tensor | None,
    var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    classes: int,
    where: str,
) -> Value:
    """`builder.affine` of a batch norm in evaluation; weight and bias [C], or [classes, C]."""
    if mean is None or var is None:
        raise ValueError(
            f"{where} has no running statistics: it normalises by the batch also in evaluation, where an image would "
            "depend on the others"
        )
    scale = (read(var).double() + eps).rsqrt().unsqueeze(0)
    if weight is not None:
        scale = scale * read(weight).double()
    shift = -read(mean).double() * scale
    if bias is not None:
        shift = shift + read(bias).double()
    return builder.affine(value, scale, shift, classes, where)


def read(numbers: Tensor | None) -> Tensor | None:
    """Numbers of a model as they are now, on the CPU."""
    return None if numbers is None else numbers.detach().cpu()


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * 2 if len(values) == 1 else values


def _holds(kind: Any, *structures: Any) -> bool:
    """Whether a Value or the labels are anywhere in the arguments."""
    for each in structures:
        if isinstance(each, kind):
            return True
        if isinstance(each, dict) and _holds(kind, *each.values()):
            return True
        if isinstance(each, (tuple, list)) and _holds(kind, *each):
            return True
    return False
