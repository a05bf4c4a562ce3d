"""Running a sequence of modules with its chains fused: convolution, batch norm, activation, convolution ...

Modules keep parameters, buffers and flags; these are read through attributes at every call, so `bn.eval()`, a new
momentum, a parametrisation or an EMA copy count at once. A module that cannot be part of a chain, one with hooks
among them, is called as it stands, on a stored tensor.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn.modules import module as torch_module
from torch.nn.utils import parametrize

from fastgan import chain
from fastgan.chain import FeatureMap, laid_out, layout
from fastgan.nn.batch_norm import ConditionalBatchNorm2d, batch_norm_arguments, update_running_statistics
from fastgan.nn.blocks import ConvBnAct2d, ConvTransposeBnAct2d
from fastgan.ops.checks import autocast_enabled

__all__ = ["ChainRunner", "Step", "has_hooks", "run", "steps_of", "why_alone"]

# Other subclasses bring their own idea of a convolution. Fake tensors stand for plain ones while a program is exported.
_PLAIN_TENSORS = (Tensor, nn.Parameter, FakeTensor)
_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_hooks", "_backward_pre_hooks")
_BLOCKS = (ConvBnAct2d, ConvTransposeBnAct2d)
_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
_BATCH_NORMS = (nn.BatchNorm2d, ConditionalBatchNorm2d)
_ACTIVATIONS = {nn.LeakyReLU: "leaky_relu", nn.ReLU: "relu", nn.Tanh: "tanh", nn.Identity: "none"}


class Step(NamedTuple):
    """One thing to do: kind is "conv", "batch_norm", "activation" or "call" (the module as it stands)."""

    kind: str
    module: nn.Module
    activation: str = "none"
    negative_slope: float = 1.0


def run(
    layers: Iterable[nn.Module], x: Tensor, c: Tensor | None = None, taps: Collection[int] = ()
) -> tuple[Tensor, dict[int, Tensor]]:
    """What calling the layers one after the other gives, and the outputs of those whose index is in `taps`.

    c: labels int64 [N]; a layer with a positive attribute `num_classes` is called with them too. A tap stores the
    feature map there. What leaves a chain lies in memory as the modules themselves would have left it.
    """
    runner = ChainRunner(x, c)
    found = {}
    plan = [steps_of(layer) for layer in layers]
    for index in range(len(plan)):
        runner.advance(plan, index, tapped=index in taps)
        if index in taps:
            found[index] = runner.store()
    return runner.store(), found


class ChainRunner:
    """The state between two steps: a stored tensor, or a feature map that is pending."""

    def __init__(self, x: Tensor, c: Tensor | None = None):
        self.state: Tensor | FeatureMap = x
        self.c = c
        self._contiguous = False  # whether what leaves the chain has to be NCHW again

    def takes(self, conv: nn.Module) -> bool:
        """Whether the operators can run this convolution on the map at hand; if not, torch itself says why."""
        x = self.state.raw if isinstance(self.state, FeatureMap) else self.state
        if parametrize.is_parametrized(conv, "weight"):
            # Reading it computes it, and may do more: spectral norm takes a step of its iteration.
            weight, channels = next(conv.parametrizations.weight.parameters()), conv.in_channels
        else:
            weight = conv.weight
            channels = weight.shape[0] if isinstance(conv, nn.ConvTranspose2d) else weight.shape[1]
        alike = weight.dtype == x.dtype or autocast_enabled(x)
        plain = type(weight) in _PLAIN_TENSORS and weight.device == x.device
        fits = x.ndim == 4 and x.is_floating_point() and x.shape[1] == channels and alike and plain
        return fits and chain.pays(x)

    def advance(self, plan: Sequence[list[Step]], index: int, tapped: bool = False) -> None:
        """One layer of a plan; those after it say what its result is needed for. tapped: others read it too."""
        steps, ahead = plan[index], plan[index + 1 :]
        if steps[0].kind == "conv" and not self.takes(steps[0].module):
            steps = [Step("call", steps[-1].module)]
        after = ahead[0][0] if ahead and not tapped else None
        for step, following in zip(steps, [*steps[1:], after], strict=True):
            self.do(step, following, _convolution_ahead(ahead))

    def do(self, step: Step, following: Step | None = None, more: bool = False) -> None:
        """One step.

        following: the step that reads the result, alone; None if others read it too or nobody does.
        more: whether the chain comes to another convolution.
        """
        if step.kind == "conv":
            bn = following.module if following is not None and following.kind == "batch_norm" else None
            self._convolve(step.module, bn, more)
        elif step.kind == "batch_norm" and self._normalise(step.module):
            pass
        elif step.kind == "activation" and isinstance(self.state, FeatureMap):
            self.state = chain.activate(self.state, step.activation, step.negative_slope)
        else:
            self.call(step.module)

    def call(self, module: nn.Module) -> None:
        """The module itself, with the labels where it has classes, on a stored tensor."""
        x = self.store()
        self.state = module(x, self.c) if getattr(module, "num_classes", 0) else module(x)

    def store(self) -> Tensor:
        """The map as a tensor; what follows goes on from it."""
        if isinstance(self.state, FeatureMap):
            stored = chain.materialise(self.state)
            self.state = laid_out(stored, torch.contiguous_format) if self._contiguous else stored
        return self.state

    def _convolve(self, conv: nn.Module, bn: nn.Module | None, more: bool) -> None:
        weight = conv.weight
        if isinstance(self.state, Tensor):
            x = self.state
            self._contiguous = False
            if more and layout(x, weight) == torch.contiguous_format:
                self._contiguous = True
                x = chain.channels_last(x)
            self.state = chain.feature_map(x)
        arguments = weight, conv.bias, conv.stride, conv.padding
        if isinstance(conv, nn.ConvTranspose2d):
            function, arguments = chain.conv_transpose2d, (*arguments, conv.output_padding)
        else:
            function = chain.conv2d
        statistics = bn is not None and _by_batch(bn)
        self.state = function(self.state, *arguments, before_batch_norm=bn is not None, statistics=statistics)

    def _normalise(self, bn: nn.Module) -> bool:
        """False where the map at hand has not got what the batch norm reads."""
        map = self.state
        if not isinstance(map, FeatureMap) or not map.is_raw or (_by_batch(bn) and map.mean is None):
            return False
        arguments = batch_norm_arguments(bn, self.c if getattr(bn, "num_classes", 0) else None)
        names = ("bn_weight", "bn_bias", "running_mean", "running_var", "training", "eps")
        self.state, mean, var = chain.batch_norm(map, *(arguments[name] for name in names))
        update_running_statistics(bn, mean, var)
        return True


def steps_of(layer: nn.Module) -> list[Step]:
    """The layer as steps of a chain: a block of `fastgan.nn` is three; what cannot be part of one is a call."""
    if why_alone(layer) is not None:
        return [Step("call", layer)]
    if isinstance(layer, _BLOCKS):
        activation = Step("activation", layer, layer.activation, layer.negative_slope)
        return [Step("conv", layer.conv), Step("batch_norm", layer.bn), activation]
    plain = _plain_type(layer)
    if plain in _CONVOLUTIONS:
        return [Step("conv", layer)]
    if plain in _BATCH_NORMS:
        return [Step("batch_norm", layer)]
    slope = layer.negative_slope if plain is nn.LeakyReLU else 1.0
    return [Step("activation", layer, _ACTIVATIONS[plain], slope)]


def why_alone(layer: nn.Module) -> str | None:
    """None if the layer can be part of a chain, else the reason why it is called as it stands."""
    parts = (layer, layer.conv, layer.bn) if isinstance(layer, _BLOCKS) else (layer,)
    for part in parts:
        if hooked := has_hooks(part):
            return hooked
        if "forward" in vars(part):
            return "its forward was replaced"
    if isinstance(layer, _BLOCKS):
        return _why_not_convolution(layer.conv) or _why_not_slope(layer.activation, layer.negative_slope)
    plain = _plain_type(layer)
    if plain in _CONVOLUTIONS:
        return _why_not_convolution(layer)
    if plain in _BATCH_NORMS:
        return None
    if plain in _ACTIVATIONS:
        return _why_not_slope(_ACTIVATIONS[plain], getattr(layer, "negative_slope", 1.0))
    return f"{type(layer).__name__} is not a convolution, batch norm or activation that a chain knows"


def has_hooks(module: nn.Module) -> str | None:
    """What hooks on the module, or on all modules, make of it; None without any."""
    for name in _HOOKS:
        if getattr(module, name):
            return f"it has {name.strip('_').replace('_', ' ')}"
        if getattr(torch_module, f"_global{name}"):
            return f"there are global {name.strip('_').replace('_', ' ')}"
    return None


def _by_batch(bn: nn.Module) -> bool:
    """Whether it normalises by the statistics of the batch."""
    return bn.training or bn.running_mean is None


def _why_not_convolution(conv: nn.Module) -> str | None:
    if conv.groups != 1:
        return f"it has {conv.groups} groups"
    if any(each != 1 for each in conv.dilation):
        return f"it is dilated by {tuple(conv.dilation)}"
    if conv.padding_mode != "zeros":
        return f"its padding_mode is {conv.padding_mode}"
    if isinstance(conv.padding, str):
        return f"its padding is {conv.padding!r}"
    return None


def _why_not_slope(activation: str, negative_slope: float) -> str | None:
    if activation == "leaky_relu" and not 0 <= negative_slope <= 1:
        return f"its negative_slope {negative_slope} is outside [0, 1]"
    return None


def _plain_type(module: nn.Module) -> type:
    """The class a module had before it was parametrised."""
    kind = type(module)
    return kind.__bases__[0] if parametrize.is_parametrized(module) else kind


def _convolution_ahead(plan: Sequence[list[Step]]) -> bool:
    """Whether a chain that is running comes to another convolution."""
    for steps in plan:
        if steps[0].kind in ("conv", "call"):
            return steps[0].kind == "conv"
    return False
