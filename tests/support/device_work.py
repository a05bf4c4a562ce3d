"""What runs again and again, on streams, in threads and on other devices: operators that merge sums of many blocks.

Each draws tensors for a number of blocks, small ones for the CPU in a GPU's place.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

import fastgan
from fastgan import losses
from fastgan.models import Generator
from fastgan.ops.affine_act import affine_act

from .chain_cases import Case, make_case

# On a device whatever order its blocks come in must show; the CPU does not take long over the others.
BLOCKS, BLOCKS_ON_CPU = 1000, 8
LOSS_TILE = 1024  # logits a block takes
CONV_ROWS = 128  # outputs that a block takes, at most
MAP_BLOCK = 256 * 32 * 4  # numbers in float32 that a block takes, at most
K4S2 = {"kernel": (4, 4), "stride": (2, 2), "padding": (1, 1)}
SLOPE = 0.3


class Work(NamedTuple):
    """draw(blocks, seed): tensors on the CPU. run(*tensors): results; also of float64, by backend reference.

    op: the operator whose backends can do it, of which `backends` are asked. dtype: of its maps.
    """

    op: str
    dtype: torch.dtype
    draw: Callable[[int, int], tuple[Tensor, ...]]
    run: Callable[..., tuple[Tensor, ...]]
    backends: tuple[str, ...] = ("cuda", "triton")


def _normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _logits(blocks: int, seed: int) -> tuple[Tensor, ...]:
    return tuple(_normal(blocks * LOSS_TILE + 1, seed=2 * seed + i) for i in range(2))


def _losses(real: Tensor, fake: Tensor) -> tuple[Tensor, ...]:
    d, g, statistics, *_ = torch.ops.fastgan.gan_loss(real, fake, losses.FAMILIES[0])
    return d, g, statistics


def _maps(blocks: int, seed: int) -> tuple[Tensor, ...]:
    """In NHWC memory; scale * x + shift stays away from 0."""
    shape = 2, 64, 16, -(-blocks * MAP_BLOCK // (2 * 64 * 16))
    x, dz = (_normal(*shape, seed=4 * seed + i).contiguous(memory_format=torch.channels_last) for i in range(2))
    scale, shift = (_normal(1, 64, seed=4 * seed + i) for i in (2, 3))
    scale = scale.sign() * (0.5 + scale.abs())
    return (x.sign() * (0.1 + x.abs()) - shift[:, :, None, None]) / scale[:, :, None, None], scale, shift, dz


def _pass(x: Tensor, scale: Tensor, shift: Tensor, dz: Tensor) -> tuple[Tensor, ...]:
    inputs = [each.detach().requires_grad_() for each in (x, scale, shift)]
    return torch.autograd.grad(affine_act(*inputs, "leaky_relu", SLOPE), inputs, dz)


def case_of(kind: str, channels: tuple[int, int], blocks: int = 1, seed: int = 0) -> Case:
    images = -(-blocks * CONV_ROWS // 1024)
    # conv2d by twos makes 1,024 outputs of 64 x 64 pixels, conv_transpose2d four times as many as it has pixels.
    size = (64, 64) if kind == "conv2d" else (16, 16)
    return make_case(kind, samples=images, channels=channels, size=size, dtype=torch.float16, seed=seed, **K4S2)


def _convolution(kind: str, channels: tuple[int, int]) -> Work:
    options = case_of(kind, channels).options

    def draw(blocks: int, seed: int) -> tuple[Tensor, ...]:
        return tuple(each.detach() for each in case_of(kind, channels, blocks, seed).tensors)

    def run(*tensors: Tensor) -> tuple[Tensor, ...]:
        with torch.no_grad():
            return Case(kind, tensors, options).run()

    return Work(f"affine_act_{kind}", torch.float16, draw, run)


def _gradients(kind: str) -> Work:
    """Of Triton's kernels alone: backend cuda takes ATen's here, which promise no order."""
    options = case_of(kind, (8, 16)).options

    def run(*tensors: Tensor) -> tuple[Tensor, ...]:
        inputs = [each.detach().requires_grad_() for each in tensors]
        results = Case(kind, tuple(inputs), options).run()
        return torch.autograd.grad(results, inputs, [0.3 + 0.7 * each.detach().sin() for each in results])

    return _convolution(kind, (8, 16))._replace(run=run, backends=("triton",))


def _latents(blocks: int, seed: int) -> tuple[Tensor, ...]:
    return (_normal(max(blocks // 16, 2), 100, seed=seed),)


def frozen_on(device: torch.device) -> Work:
    """A module that keeps packed weights and, on a GPU, graphs: one for all who run it there."""
    model = Generator(size=(32, 32), channels=3, width=16).init_weights(0).eval()
    frozen = fastgan.freeze(model, precision="fp16").to(device)
    return Work("frozen_generator", torch.float16, _latents, lambda z: (frozen(z),), ("cuda",))


# Those that merge what many blocks leave.
SUMS = {
    "losses": Work("gan_loss", torch.float32, _logits, _losses),
    "passes": Work("affine_act", torch.float32, _maps, _pass),
    "conv2d": _convolution("conv2d", (8, 40)),
    "conv_transpose2d": _convolution("conv_transpose2d", (8, 136)),
    "conv_transpose2d to 3": _convolution("conv_transpose2d", (8, 3)),
    "conv2d, gradients": _gradients("conv2d"),
    "conv_transpose2d, gradients": _gradients("conv_transpose2d"),
}
