"""What the small CNN is fed: augmented batches from one or two sources, each a function of (seed, step) alone."""

from dataclasses import dataclass

import numpy as np

from fastgan.noise import Stream, bits, permutation

# The stream CLASSIFIER below sample 2^32 belongs to the initial weights, so the first order is number 1.
_FIRST_SOURCE, _SECOND_SOURCE = 1, 1 << 31


@dataclass(frozen=True)
class Augment:
    """Classic augmentation: shifts by up to `shift` (edges repeated); `flip` mirrors every other image."""

    shift: int
    flip: bool

    @classmethod
    def candidates(cls, height: int, width: int) -> tuple["Augment", ...]:
        """From nothing to shifts by an eighth of the smaller side with mirror images, weaker ones first."""
        shift = min(height, width) // 8
        return cls(0, False), cls(shift, False), cls(0, True), cls(shift, True)


@dataclass(frozen=True)
class Mix:
    """A second source of images, and the share of every batch that is taken from it.

    images: uint8 [M, H, W, C]; labels: int64 [M]; share in (0, 1).
    """

    images: np.ndarray
    labels: np.ndarray
    share: float


class Batches:
    """Batch number `step` of a training: `batches(step)` -> uint8 [batch, H, W, C] and labels int64 [batch].

    Each source is read in one random order after another, so every image of it comes once before any comes
    twice. With `mix`, `round(batch * share)` images of every batch, the last ones, are from the second
    source.

    images: uint8 [N, H, W, C]; labels: int64 [N].
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        batch: int,
        seed: int,
        augment: Augment | None = None,
        mix: Mix | None = None,
    ) -> None:
        second = 0
        if mix is not None:
            second = round(batch * mix.share)
            if not 0 < second < batch or mix.images.shape[1:] != images.shape[1:]:
                raise ValueError(
                    f"train_classifier: mix must hold images of {list(images.shape[1:])} and a share of the "
                    f"{batch} images of a batch, got {list(mix.images.shape[1:])} and share {mix.share}"
                )
        self._batch, self._seed, self._augment = batch, seed, augment
        self._sources = [_Source(images, labels, batch - second, seed, _FIRST_SOURCE)]
        if mix is not None:
            self._sources.append(_Source(mix.images, mix.labels, second, seed, _SECOND_SOURCE))

    def __call__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        draws = bits(self._seed, Stream.AUGMENT, step * self._batch, self._batch, 3)
        pixels, labels, first = [], [], 0
        for source in self._sources:
            rows = source.rows(step)
            pixels.append(transformed(source.images, rows, self._augment, draws[first : first + len(rows)]))
            labels.append(source.labels[rows])
            first += len(rows)
        return np.concatenate(pixels), np.concatenate(labels)


class _Source:
    """One set of images and the orders in which it is read."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, per_step: int, seed: int, first_epoch: int) -> None:
        self.images, self.labels = images, labels
        self._per_step, self._seed, self._first_epoch = per_step, seed, first_epoch
        self._epoch, self._order = -1, np.zeros(0, np.int64)

    def rows(self, step: int) -> np.ndarray:
        """Which images step number `step` takes: int64 [per_step]."""
        n = len(self.images)
        positions = np.arange(step * self._per_step, (step + 1) * self._per_step)
        rows = np.empty(self._per_step, np.int64)
        for epoch in np.unique(positions // n):
            if epoch != self._epoch:
                self._epoch = epoch
                self._order = permutation(self._seed, Stream.CLASSIFIER, self._first_epoch + int(epoch), n)
            here = positions // n == epoch
            rows[here] = self._order[positions[here] % n]
        return rows


def transformed(images: np.ndarray, rows: np.ndarray, augment: Augment | None, draws: np.ndarray) -> np.ndarray:
    """The images of `rows` [B], shifted and mirrored as `draws` (uint32 [B, 3]) say: uint8 [B, H, W, C]."""
    if augment is None:
        return images[rows]
    height, width = images.shape[1:3]
    span = np.uint64(2 * augment.shift + 1)
    shifts = ((draws[:, :2].astype(np.uint64) * span) >> np.uint64(32)).astype(np.int64) - augment.shift
    y = np.clip(np.arange(height) + shifts[:, :1], 0, height - 1)  # [B, H]
    x = np.clip(np.arange(width) + shifts[:, 1:], 0, width - 1)  # [B, W]
    if augment.flip:
        mirrored = draws[:, 2] >> np.uint32(31) == 1
        x[mirrored] = x[mirrored, ::-1]
    return images[rows[:, None, None], y[:, :, None], x[:, None, :]]
