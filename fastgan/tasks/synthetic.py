"""Synthetic images of a run in memory: the same bits as `fastgan generate` writes for that seed."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from fastgan.metrics.classifier import one_torch_thread
from fastgan.run import Run
from fastgan.synth.blocks import BLOCK, BlockSource, load_generator
from fastgan.synth.classes import BALANCED, label_cycle
from fastgan.tasks.trainings import cores


def synthetic_images(
    run: Run, n: int, *, seed: int = 0, device: torch.device | None = None, precision: str = "fp32"
) -> tuple[np.ndarray, np.ndarray]:
    """Images 0 .. n - 1 of `run`, all classes in turn: uint8 [n, H, W, C]; labels int64 [n] (-1: none)."""
    device = device or torch.device("cpu")
    generator = load_generator(run, device, run.weights_sha256())
    source = BlockSource(generator, seed, label_cycle(BALANCED, run.classes), device, precision)
    images = np.empty((n, *run.size, run.channels), np.uint8)
    labels = np.empty(n, np.int64)
    with one_torch_thread(), ThreadPoolExecutor(cores()) as pool:
        for block in pool.map(source, range(-(-n // BLOCK))):
            part = block.head(min(BLOCK, n - block.first))
            images[block.first : block.first + len(part.images)] = part.images
            labels[block.first : block.first + len(part.images)] = part.labels
    return images, labels
