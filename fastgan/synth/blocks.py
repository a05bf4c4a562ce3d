"""Images in blocks of 64: the unit in which a generator runs, so that image i has the same bits for all."""

import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from fastgan import native
from fastgan.errors import RunError
from fastgan.frozen import freeze
from fastgan.noise import Stream, normal
from fastgan.ops import frozen_generator
from fastgan.reference.frozen_generator import BLOCK
from fastgan.run import Run
from fastgan.synth.classes import labels_of

__all__ = ["BLOCK", "Block", "BlockSource", "backend", "capability", "load_generator"]


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
    """Block b of a generator: images 64*b .. 64*b + 63, always computed whole.

    The generator is frozen: an image's bytes do not depend on the others, nor on the number of threads. Calls from
    several threads are safe.

    Args:
        generator: what `fastgan.freeze` takes, on `device`.
        seed: of noise/1; latents are `normal(seed, Stream.LATENT, i, 1, z_dim)`.
        cycle: label of image i is `cycle[i % len(cycle)]`; empty without labels.
        device: where the generator lies.
        precision: "fp32", "bf16" or "fp16", of convolutions and linear maps.
    """

    def __init__(
        self,
        generator: torch.nn.Module,
        seed: int,
        cycle: Sequence[int],
        device: torch.device,
        precision: str = "fp32",
    ) -> None:
        self.frozen = freeze(generator, "uint8", precision=precision)
        self.seed = seed
        self.cycle = tuple(cycle)
        self.device = device
        self._turn = threading.Lock() if device.type == "cuda" else contextlib.nullcontext()

    def __call__(self, block: int) -> Block:
        """Compute block number `block`."""
        first = block * BLOCK
        z = torch.from_numpy(normal(self.seed, Stream.LATENT, first, BLOCK, self.frozen.z_dim))
        labels = labels_of(self.cycle, first, BLOCK)
        c = torch.from_numpy(labels).to(self.device) if self.frozen.num_classes else None
        with self._turn, torch.inference_mode():
            images = self.frozen(z.to(self.device), c).cpu().numpy()
        return Block(first, images, labels)


def backend(device: torch.device, precision: str) -> str:
    """The backend of `frozen_generator` that computes blocks: "cpu", fastgan's kernels, or "reference", stock torch."""
    return frozen_generator.backend(device.type, precision)


def capability(device: torch.device, backend: str) -> str:
    """What the last bits of an image may depend on: the instruction set that the backend uses, or the GPU's name."""
    if backend == "cpu":
        return native.cpu_capability()
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return torch.backends.cpu.get_cpu_capability().lower()


def load_generator(run: Run, device: torch.device, weights_sha256: str | None = None) -> torch.nn.Module:
    """The run's averaged generator on `device`; refused if its weights are not the expected ones.

    Raises:
        RunError: the run has no whole checkpoint, or training has moved it on from `weights_sha256`.
    """
    checkpoint = run.checkpoint()
    if weights_sha256 is not None and checkpoint.weights_sha256() != weights_sha256:
        raise RunError(
            f"the weights of {run.path} have changed since this was started (training went on?); "
            "start again, or copy the run folder and work from the copy"
        )
    return run.load_generator(device, checkpoint)
