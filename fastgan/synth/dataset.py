"""Synthetic images as a torch dataset, computed when they are asked for and never written."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fastgan.device import resolve_device
from fastgan.run import Run
from fastgan.synth.blocks import BLOCK, BlockSource, load_generator
from fastgan.synth.classes import BALANCED, label_cycle, labels_of


class SyntheticDataset(torch.utils.data.Dataset):
    """`n` labelled images of a run; `ds[i]` is exactly the image i that `fastgan generate` writes.

    `ds[i]` is `(image, label)`: a uint8 tensor [C, H, W] (what torchvision's v2 transforms take) or
    `transform(image)`, and an int, -1 for a run without labels. Image i is a function of the run's
    weights, the seed and i: not of `n`, the order of access, the batch size or the number of workers.

    It works in `ConcatDataset` and with `DataLoader` workers; each worker loads the generator when it
    needs it (with device "cuda" use `num_workers=0`, or the "spawn" start method). Images come in blocks
    of 64, and finished blocks are kept as uint8 while they fit in `cache_mb`: reading in order never
    computes a block twice, and shuffled reading computes each block once per process if all n images fit.
    For a larger set that is shuffled, write it with `fastgan generate`.

    Args:
        run: a run folder, or a `Run`.
        n: the number of images.
        seed: in [0, 2^64).
        classes: "balanced", or class names or indices; image i has class `classes[i % len(classes)]`.
        transform: called with the uint8 tensor [C, H, W].
        device: "cpu", "cuda" or "auto".
        precision: "fp32", "bf16" or "fp16".
        cache_mb: memory for finished blocks in MiB, per process; at least one block is kept.

    Attributes:
        classes: the class names of the run, in the order of their labels.
        targets: all labels, int64 [n]; nothing is computed for them.

    Raises:
        RunError: the run cannot be read, or its weights change while the data set is in use.
        DataError: a class is unknown.
    """

    def __init__(
        self,
        run: str | Path | Run,
        n: int,
        seed: int = 0,
        classes: str | Sequence[str | int] = BALANCED,
        transform: Callable[[torch.Tensor], Any] | None = None,
        device: str = "cpu",
        precision: str = "fp32",
        cache_mb: float = 256,
    ) -> None:
        if n < 0:
            raise ValueError(f"SyntheticDataset: n must be at least 0, got {n}")
        run = run if isinstance(run, Run) else Run.open(run)
        self.path = run.path
        self.weights_sha256 = run.weights_sha256()
        self.n = n
        self.seed = seed
        self.classes = run.classes
        self.transform = transform
        self.device = device
        self.precision = precision
        self._cycle = label_cycle(classes, run.classes)
        height, width = run.size
        self._blocks_kept = max(1, int(cache_mb * 2**20 / (BLOCK * height * width * run.channels)))
        self._forget()

    @property
    def targets(self) -> np.ndarray:
        """Labels of all images: int64 [n]."""
        return labels_of(self._cycle, 0, self.n)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> tuple[Any, int]:
        i = int(index) + (self.n if index < 0 else 0)
        if not 0 <= i < self.n:
            raise IndexError(f"SyntheticDataset: index must be in [{-self.n}, {self.n}), got {index}")
        block, row = divmod(i, BLOCK)
        pixels = self._images(block)[row].transpose(2, 0, 1)  # [C, H, W]
        image = torch.from_numpy(np.array(pixels, order="C"))
        label = self._cycle[i % len(self._cycle)] if self._cycle else -1
        return (self.transform(image) if self.transform else image), label

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_source", "_cache")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def _forget(self) -> None:
        self._source: BlockSource | None = None
        self._cache: OrderedDict[int, np.ndarray] = OrderedDict()

    def _images(self, block: int) -> np.ndarray:
        """uint8 [64, H, W, C] of one block, from the cache where it is there."""
        if block in self._cache:
            self._cache.move_to_end(block)
            return self._cache[block]
        if self._source is None:
            device = resolve_device(self.device)
            generator = load_generator(Run.open(self.path), device, self.weights_sha256)
            self._source = BlockSource(generator, self.seed, self._cycle, device, self.precision)
        images = self._source(block).images
        self._cache[block] = images
        if len(self._cache) > self._blocks_kept:
            self._cache.popitem(last=False)
        return images
