"""Images in blocks of 64: the unit in which a generator runs, so that image i has the same bits for all."""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from fastgan.device import autocast
from fastgan.errors import RunError
from fastgan.models.pixels import to_uint8
from fastgan.noise import Stream, normal
from fastgan.run import Run
from fastgan.synth.classes import labels_of

BLOCK = 64


@dataclass(frozen=True)
class Block:
    """Images first .. first + len - 1.

    Attributes:
        first: index of the first image.
        images: uint8 [count, H, W, C].
        labels: int64 [count]; -1 for a run without labels.
    """

    first: int
    images: np.ndarray
    labels: np.ndarray

    def head(self, count: int) -> "Block":
        """The first `count` images."""
        return Block(self.first, self.images[:count], self.labels[:count])


class BlockSource:
    """Block b of a generator: images 64*b .. 64*b + 63, always computed whole, on the CPU by one thread.

    The convolution libraries pick other algorithms, hence other last bits, for another batch size and may
    do so for another thread count; here both are fixed, and the caller runs blocks side by side instead.
    Calls from several threads are safe.

    Args:
        generator: in evaluation mode, on `device`, with the attributes `z_dim` and `num_classes`.
        seed: of noise/1; latents are `normal(seed, Stream.LATENT, i, 1, z_dim)`.
        cycle: label of image i is `cycle[i % len(cycle)]`; empty without labels.
        device: where the generator lies.
        precision: "fp32", "bf16" or "fp16".
    """

    def __init__(
        self,
        generator: torch.nn.Module,
        seed: int,
        cycle: Sequence[int],
        device: torch.device,
        precision: str = "fp32",
    ) -> None:
        self.generator = generator
        self.seed = seed
        self.cycle = tuple(cycle)
        self.device = device
        self.precision = precision
        self._turn = threading.Lock() if device.type == "cuda" else contextlib.nullcontext()

    def __call__(self, block: int) -> Block:
        """Compute block number `block`."""
        first = block * BLOCK
        z = torch.from_numpy(normal(self.seed, Stream.LATENT, first, BLOCK, self.generator.z_dim))
        labels = labels_of(self.cycle, first, BLOCK)
        c = torch.from_numpy(labels).to(self.device) if self.generator.num_classes else None
        with (
            self._turn,
            fixed_arithmetic(self.device),
            torch.inference_mode(),
            autocast(self.device, self.precision),
        ):
            images = to_uint8(self.generator(z.to(self.device), c)).cpu().numpy()
        return Block(first, images, labels)


@contextlib.contextmanager
def fixed_arithmetic(device: torch.device) -> Iterator[None]:
    """Take away what may change the last bits: CPU threads but one; on CUDA TF32 and choice by timing."""
    if device.type == "cuda":
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
        return
    threads = torch.get_num_threads()
    if threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def capability(device: torch.device) -> str:
    """What the last bits of an image may depend on: the instruction set of the CPU or the name of the GPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return torch.backends.cpu.get_cpu_capability().lower()


def load_generator(run: Run, device: torch.device, weights_sha256: str | None = None) -> torch.nn.Module:
    """The run's averaged generator on `device`; refused if its weights are not the expected ones.

    Raises:
        RunError: the run has no whole checkpoint, or training has moved it on from `weights_sha256`.
    """
    generator = run.load_generator(device)
    if weights_sha256 is not None and run.weights_sha256() != weights_sha256:
        raise RunError(
            f"the weights of {run.path} have changed since this was started (training went on?); "
            "start again, or copy the run folder and work from the copy"
        )
    return generator
