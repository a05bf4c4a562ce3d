"""freeze: from a module to a frozen generator."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from fastgan.frozen.build import Builder
from fastgan.frozen.generator import FrozenGenerator
from fastgan.frozen.trace import first_shapes, trace
from fastgan.fusion.classes import original_class

__all__ = ["freeze"]


@torch.no_grad()
def freeze(
    model: nn.Module,
    output: str = "float",
    batch_invariant: bool = True,
    precision: str = "fp32",
    input_shape: Sequence[int] | None = None,
) -> FrozenGenerator:
    """What `model` computes in evaluation, folded into a plan that one operator runs.

    model: a `fastgan.models.Generator`, an `nn.Sequential` or another module that traces with torch.fx to linear
    maps, batch norms (also those of `fastgan.nn`, with classes), LeakyReLU, ReLU, Tanh, reshapes and (transposed)
    convolutions of one group without dilation, in one chain; fused by `fuse_` or not. Parametrised weights are read
    once. Its running statistics are used whatever mode it is in. It is not changed, and later changes of it
    do not reach the result.

    output: "float", images [N, C, H, W] as the model gives them, float32; "uint8", pixels [N, H, W, C] for a model that
        gives [-1, 1], exactly `fastgan.models.to_uint8` of the float result.
    batch_invariant: an image has the same bytes whatever N and the number of threads (on one device, backend,
        capability and torch). False allows arithmetic that depends on them, for a lower latency of small batches.
    precision: of convolutions and linear maps. "fp32"; "tf32" lets a GPU round the factors of float32 products, and
        is "fp32" on the CPU; "bf16" and "fp16" compute in those. What no kernel takes runs in stock torch: the last
        two on the CPU, and on CUDA everything unless the backend "cuda" is forced (docs/freeze.md).
    input_shape: of one latent, [F] or [C, H, W]; by default what the first layer reads, a convolution one pixel.

    Batch norms are folded in float64: unconditional ones into the weights before them, conditional ones into
    tables [num_classes, C] of which a call reads the rows of its labels.

    Raises ValueError, one sentence that names the operation and its place, for what a plan does not have;
    TypeError where `model` is not a module.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"freeze: model must be an nn.Module, got {type(model).__name__}")
    if isinstance(model, FrozenGenerator):
        raise ValueError("freeze: model is frozen already")
    shapes = [tuple(input_shape)] if input_shape is not None else first_shapes(model)
    modes = [(module, module.training) for module in model.modules()]
    try:
        for module, _ in modes:
            module.training = False  # reading a spectral norm in training would move its vectors
        complaints = []
        for shape in shapes:
            builder = Builder(shape)
            try:
                plan, tensors = builder.finish(trace(model, builder), f"freeze: {original_class(model).__name__}")
                break
            except ValueError as error:
                complaints.append(error)
        else:
            raise complaints[0]
    finally:
        for module, mode in modes:
            module.training = mode
    device = next((each.device for each in (*model.parameters(), *model.buffers())), torch.device("cpu"))
    return FrozenGenerator(plan, [each.to(device) for each in tensors], output, batch_invariant, precision)
