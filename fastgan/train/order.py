"""Which real images step number k sees: a function of (seed, k), so a resumed run needs no loader state."""

import numpy as np
import torch

from fastgan import noise
from fastgan.data import ImageSet
from fastgan.models.pixels import to_float


class RealBatches:
    """The batches of real images, drawn from one shuffled pass over the data after another.

    Image number p of the training is image `permutation(epoch)[p mod n]`, epoch = p div n, so every image is
    seen once before any is seen twice, whatever the batch size.
    """

    def __init__(self, images: ImageSet, batch: int, seed: int, flip: bool, device: torch.device) -> None:
        if len(images) == 0:
            raise ValueError("train: the training split must hold at least one image, got none")
        self._pixels = torch.from_numpy(np.ascontiguousarray(images.images))
        self._labels = None if images.labels is None else torch.from_numpy(images.labels)
        self._batch, self._seed, self._flip, self._device = batch, seed, flip, device
        self._orders: dict[int, np.ndarray] = {}

    def __call__(self, step: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Batch number `step` (from 0): float images [batch, C, H, W] in [-1, 1] and labels [batch] or None."""
        first = step * self._batch
        index = torch.from_numpy(self._indices(first))
        pixels = self._pixels[index]
        if self._flip:
            mirrored = noise.integers(self._seed, noise.Stream.AUGMENT, first, self._batch, 2).astype(bool)
            pixels[mirrored] = pixels[mirrored].flip(2)
        labels = None if self._labels is None else self._labels[index].to(self._device)
        return to_float(pixels.to(self._device)), labels

    def _indices(self, first: int) -> np.ndarray:
        count = len(self._pixels)
        positions = np.arange(first, first + self._batch)
        epochs = positions // count
        out = np.empty(self._batch, dtype=np.int64)
        for epoch in np.unique(epochs):
            here = epochs == epoch
            out[here] = self._order(int(epoch))[positions[here] % count]
        return out

    def _order(self, epoch: int) -> np.ndarray:
        if epoch not in self._orders:
            self._orders = {e: o for e, o in self._orders.items() if e == epoch - 1}
            self._orders[epoch] = noise.permutation(self._seed, noise.Stream.ORDER, epoch, len(self._pixels))
        return self._orders[epoch]
