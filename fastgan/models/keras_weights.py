"""Weights of a Keras DCGAN carried into our models of preset `keras`.

In Keras, with the model as trained:

    arrays = generator.get_weights()
    numpy.savez("generator.npz", *arrays)

and here:

    with numpy.load("generator.npz") as file:
        arrays = [file[name] for name in file.files]
    load_keras_generator(arrays, Generator(size=(64, 64), channels=3, z_dim=100, width=64))

`get_weights()` lists, layer by layer: Dense kernel [in, out]; BatchNormalization gamma, beta, moving_mean,
moving_variance; Conv2DTranspose kernel [kh, kw, out, in]; Conv2D kernel [kh, kw, in, out]; each kernel
followed by its bias where the layer has one.

Both convolutions are 4x4 with stride 2 and padding "same". On an even size H, Conv2D pads (H / 2 - 1) * 2
+ 4 - H = 2
rows, one on each side: torch's padding=1. Conv2DTranspose is the gradient of that convolution, as torch's
is, so it is padding=1 too, without flipping the kernel. Maps are flattened in the order H, W, C on both
sides.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from fastgan.models.discriminator import Discriminator
from fastgan.models.generator import Generator
from fastgan.nn import LinearBnAct

__all__ = ["load_keras_discriminator", "load_keras_generator"]


def load_keras_generator(arrays: Sequence[np.ndarray], generator: Generator) -> Generator:
    """Fill `generator` (preset keras, no classes) from Keras arrays and return it; unchanged on an error.

    arrays, for k doublings: Dense kernel [z_dim, b * b' * C], 4 of BatchNormalization, then k - 1 times
    Conv2DTranspose kernel [4, 4, C / 2, C] with 4 of BatchNormalization, then the last Conv2DTranspose
    kernel. A bias in front of a batch norm is moved into its running mean; a last layer without bias gets
    zeros. In evaluation mode, with Keras's epsilon 1e-3 and LeakyReLU slope 0.3, the outputs agree to
    float rounding.

    Raises ValueError naming the array whose shape does not fit.
    """
    _check_model(generator, "load_keras_generator")
    if generator.num_classes:
        raise ValueError(
            "load_keras_generator: generator must have num_classes=0 (Keras's DCGAN has no labels), "
            f"got num_classes={generator.num_classes}"
        )
    reader = _Reader("load_keras_generator", arrays)
    values = []
    *blocks, to_image, _ = (layer for layer in generator.main if layer is not generator.main.unflatten)
    for block in blocks:
        layer = block.linear if isinstance(block, LinearBnAct) else block.conv
        values += reader.kernel_and_batch_norm(layer, block.bn)
    values += reader.kernel_and_bias(to_image)
    reader.finish()
    _copy(values)
    return generator


def load_keras_discriminator(arrays: Sequence[np.ndarray], discriminator: Discriminator) -> Discriminator:
    """Fill `discriminator` (preset keras) from Keras arrays and return it; unchanged on an error.

    arrays: a Conv2D kernel [4, 4, in, out] per convolution, then the Dense kernel [h * w * C, 1], each
    followed by its bias where there is one (no bias: zeros). Our output is the logit: a final sigmoid of
    the Keras model is left out. A projection discriminator keeps its class embedding as it is.

    Raises ValueError naming the array whose shape does not fit, and for sizes where a convolution meets
    an odd height or width, because Keras pads those unevenly.
    """
    _check_model(discriminator, "load_keras_discriminator")
    convolutions = [layer for layer in discriminator.main if isinstance(layer, nn.Conv2d)]
    if any(side % (1 << len(convolutions)) for side in discriminator.size):
        height, width = discriminator.size
        raise ValueError(
            f"load_keras_discriminator: size must be divisible by {1 << len(convolutions)}, since Keras pads "
            f"odd maps unevenly, got {height}x{width}"
        )
    reader = _Reader("load_keras_discriminator", arrays)
    values = []
    for layer in (*convolutions, discriminator.main.linear):
        values += reader.kernel_and_bias(layer)
    reader.finish()
    _copy(values)
    return discriminator


class _Reader:
    """Takes Keras arrays one after the other, and says which of them has the wrong shape."""

    def __init__(self, op: str, arrays: Sequence[np.ndarray]):
        self.op = op
        self.arrays = [np.asarray(array) for array in arrays]
        self.next = 0

    def kernel_and_batch_norm(self, layer: nn.Module, bn: nn.Module) -> list[tuple[Tensor, Tensor]]:
        weight = self._kernel(layer)
        channels = bn.num_features
        vectors = 0
        while self.next + vectors < len(self.arrays) and self.arrays[self.next + vectors].ndim == 1:
            vectors += 1
        bias = self._take(f"{_kind(layer)} bias", (channels,)) if vectors == 5 else None
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        gamma, beta, mean, var = (self._take(f"BatchNormalization {name}", (channels,)) for name in names)
        if bias is not None:
            mean = mean - bias
        return [
            (layer.weight, weight),
            (bn.weight, gamma),
            (bn.bias, beta),
            (bn.running_mean, mean),
            (bn.running_var, var),
        ]

    def kernel_and_bias(self, layer: nn.Module) -> list[tuple[Tensor, Tensor]]:
        weight = self._kernel(layer)
        bias = torch.zeros_like(layer.bias)
        if self.next < len(self.arrays) and self.arrays[self.next].ndim == 1:
            bias = self._take(f"{_kind(layer)} bias", tuple(bias.shape))
        return [(layer.weight, weight), (layer.bias, bias)]

    def finish(self) -> None:
        if self.next != len(self.arrays):
            raise ValueError(
                f"{self.op}: arrays must be {self.next} for this model, got {len(self.arrays)}; "
                f"the first too many is array {self.next} of shape {list(self.arrays[self.next].shape)}"
            )

    def _kernel(self, layer: nn.Module) -> Tensor:
        if isinstance(layer, nn.Linear):
            return self._take("Dense kernel", (layer.in_features, layer.out_features)).T
        # [out, in, kh, kw] and [in, out, kh, kw] of torch are the same transpose of Keras's two kernel
        # orders.
        first, second, height, width = layer.weight.shape
        return self._take(f"{_kind(layer)} kernel", (height, width, second, first)).permute(3, 2, 0, 1)

    def _take(self, what: str, shape: tuple[int, ...]) -> Tensor:
        expected = f"{self.op}: array {self.next} must be the {what} {list(shape)}"
        if self.next >= len(self.arrays):
            raise ValueError(f"{expected}, got only {len(self.arrays)} arrays")
        array = self.arrays[self.next]
        if array.shape != shape:
            raise ValueError(f"{expected}, got {list(array.shape)}")
        self.next += 1
        return torch.from_numpy(np.array(array, dtype=np.float64))


def _kind(layer: nn.Module) -> str:
    return {nn.Linear: "Dense", nn.Conv2d: "Conv2D", nn.ConvTranspose2d: "Conv2DTranspose"}[type(layer)]


def _check_model(model: Generator | Discriminator, op: str) -> None:
    if model.preset != "keras":
        raise ValueError(f"{op}: the model must have preset 'keras', got {model.preset!r}")


@torch.no_grad()
def _copy(values: list[tuple[Tensor, Tensor]]) -> None:
    for target, value in values:
        target.copy_(value)
