"""What a module computes, operation by operation: modules by their class, a foreign forward by torch.fx."""

from __future__ import annotations

from torch import Tensor, fx, nn
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm
from torch.optim.swa_utils import AveragedModel

from fastgan.frozen.build import Builder, Value
from fastgan.frozen.follow import TAKEN, Follower, Labels, batch_norm, convolution, read
from fastgan.fusion.classes import original_class
from fastgan.models.generator import Generator
from fastgan.nn import (
    ConditionalBatchNorm1d,
    ConditionalBatchNorm2d,
    ConvBnAct2d,
    ConvTransposeBnAct2d,
    LinearBnAct,
)

__all__ = ["first_shapes", "trace"]

_CONDITIONAL = (ConditionalBatchNorm1d, ConditionalBatchNorm2d)
_BLOCKS = (LinearBnAct, ConvBnAct2d, ConvTransposeBnAct2d)
_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel, AveragedModel)
_NOTHING = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)  # in evaluation
_KNOWN = (
    *(nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm),
    *(nn.LeakyReLU, nn.ReLU, nn.Tanh, nn.Flatten, nn.Unflatten, nn.Sequential),
    *_NOTHING,
    *_WRAPPERS,
    *_CONDITIONAL,
    *_BLOCKS,
    Generator,
)
_OLD_WEIGHTS = (SpectralNorm, WeightNorm)  # pre-hooks that make a weight


def first_shapes(model: nn.Module) -> list[tuple[int, ...]]:
    """The shapes [F] or [C, 1, 1] a latent may have, going by the first layer that says."""
    if isinstance(model, Generator):
        return [(model.z_dim,)]
    for module in model.modules():
        if isinstance(module, nn.Linear):
            return [(module.in_features,)]
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            return [(module.in_channels, 1, 1), (module.in_channels,)]
    raise ValueError(f"freeze: model must have a linear map or a convolution, got {type(model).__name__}")


def trace(model: nn.Module, builder: Builder) -> Value:
    """Take the operations of `model`, in evaluation mode, into `builder`; returns the output.

    Raises ValueError in one sentence that names the operation that is not one of TAKEN, and where it is.
    """
    return _module(model, builder, builder.start(), Labels(), "")


def _module(module: nn.Module, builder: Builder, value: Value, labels: Labels, name: str) -> Value:
    where = f"freeze: {name or 'model'} ({original_class(module).__name__})"
    _check_hooks(module, where)
    kind = _known(module)
    if kind is None:
        return _foreign(module, builder, value, labels, name, where)
    if kind is Generator:
        if module.preset == "dcgan":
            value = builder.reshaped(value, value.places[..., None, None], where)
        return _chain(module.main, builder, value, labels, f"{name}.main" if name else "main")
    if kind in _WRAPPERS:
        return _module(module.module, builder, value, labels, f"{name}.module" if name else "module")
    if kind is nn.Sequential:
        return _chain(module, builder, value, labels, name)
    if kind in _BLOCKS:
        return _block(module, builder, value, labels, name)
    return _layer(module, kind, builder, value, where)


def _chain(layers: nn.Module, builder: Builder, value: Value, labels: Labels, name: str) -> Value:
    for key, layer in layers.named_children():
        value = _module(layer, builder, value, labels, f"{name}.{key}" if name else key)
    return value


def _block(block: nn.Module, builder: Builder, value: Value, labels: Labels, name: str) -> Value:
    # Its children are never called: hooks on them do not run, here as there.
    part = "linear" if isinstance(block, LinearBnAct) else "conv"
    for child in (part, "bn"):
        layer = getattr(block, child)
        where = f"freeze: {name + '.' if name else ''}{child} ({original_class(layer).__name__})"
        value = _layer(layer, _known(layer), builder, value, where)
    where = f"freeze: {name or 'model'} ({original_class(block).__name__})"
    return builder.activation(value, block.activation, block.negative_slope, where)


def _layer(layer: nn.Module, kind: type | None, builder: Builder, value: Value, where: str) -> Value:
    """One layer of torch's or of fastgan.nn."""
    if kind is nn.Linear:
        return builder.linear(value, _weight(layer), read(layer.bias), where)
    if kind in (nn.Conv2d, nn.ConvTranspose2d):
        return _convolution(layer, kind, builder, value, where)
    if kind in (nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm, *_CONDITIONAL):
        classes = layer.num_classes if kind in _CONDITIONAL else 0
        arguments = layer.running_mean, layer.running_var, layer.weight, layer.bias, layer.eps
        return batch_norm(builder, value, *arguments, classes, where)
    if kind is nn.LeakyReLU:
        return builder.activation(value, "leaky_relu", layer.negative_slope, where)
    if kind in (nn.ReLU, nn.Tanh):
        return builder.activation(value, "relu" if kind is nn.ReLU else "tanh", 1.0, where)
    if kind is nn.Flatten:
        return builder.reshaped(value, value.places.flatten(layer.start_dim, layer.end_dim), where)
    if kind is nn.Unflatten:
        return builder.reshaped(value, value.places.unflatten(layer.dim, layer.unflattened_size), where)
    if kind in _NOTHING:
        return value
    raise ValueError(f"{where} is none of {TAKEN}")


def _convolution(layer: nn.Module, kind: type, builder: Builder, value: Value, where: str) -> Value:
    if layer.padding_mode != "zeros":
        raise ValueError(f"{where} pads by {layer.padding_mode}; a frozen generator pads by zeros")
    transposed = kind is nn.ConvTranspose2d
    extra = layer.output_padding if transposed else (0, 0)
    options = layer.stride, layer.padding, extra, layer.dilation, layer.groups
    return convolution(builder, value, _weight(layer), read(layer.bias), *options, transposed, where)


class _Tracer(fx.Tracer):
    """Leaves are the layers that are known here, and torch's."""

    def is_leaf_module(self, module: nn.Module, qualified_name: str) -> bool:
        return _known(module) is not None or super().is_leaf_module(module, qualified_name)


def _foreign(module: nn.Module, builder: Builder, value: Value, labels: Labels, name: str, where: str) -> Value:
    """A module with a forward of its own, which is followed by torch.fx."""
    kind = original_class(module)
    if kind.__module__.startswith("torch.nn.") or kind.forward is nn.Module.forward:
        raise ValueError(f"{where} is none of {TAKEN}")
    prefix = f"{name}." if name else ""
    try:
        graph = _Tracer().trace(module)
    except Exception as error:  # whatever the forward of somebody else raises on a proxy
        raise ValueError(_untraceable(module, where, error)) from None

    def call(target: str, value: Value) -> Value:
        return _module(module.get_submodule(target), builder, value, labels, prefix + target)

    return Follower(module, builder, labels, f"{kind.__name__}.forward", call).follow(graph, value)


def _untraceable(module: nn.Module, where: str, error: Exception) -> str:
    chains = [key for key, child in module.named_children() if _known(child) is nn.Sequential]
    reason = str(error).split("\n")[0].rstrip(". ")
    if len(chains) == 1:
        way_out = f"pass the Sequential that it runs: freeze(model.{chains[0]})"
    else:
        way_out = "pass a Sequential, or a module whose forward has no conditions on tensors"
    return f"{where} has a forward that does not trace ({reason}); {way_out}"


def _known(module: nn.Module) -> type | None:
    """The class of _KNOWN that says what the module computes; None for subclasses with a forward of their own."""
    forward = original_class(module).forward
    for kind in _KNOWN:
        if isinstance(module, kind) and forward is kind.forward:
            return kind
    return None


def _check_hooks(module: nn.Module, where: str) -> None:
    others = [hook for hook in module._forward_pre_hooks.values() if not isinstance(hook, _OLD_WEIGHTS)]
    if others or module._forward_hooks:
        raise ValueError(f"{where} has forward hooks, whose effect cannot be frozen: remove them, or freeze a copy")
    if "forward" in vars(module):
        raise ValueError(f"{where} has had its forward replaced, whose effect cannot be frozen")


def _weight(layer: nn.Module) -> Tensor:
    """The weight that the layer would use: old-style norms make it in a hook at the next call."""
    for hook in layer._forward_pre_hooks.values():
        if isinstance(hook, SpectralNorm) and hook.name == "weight":
            return read(hook.compute_weight(layer, do_power_iteration=False))
        if isinstance(hook, WeightNorm) and hook.name == "weight":
            return read(hook.compute_weight(layer))
    return read(layer.weight)
