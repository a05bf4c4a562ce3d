"""A whole data set in memory: uint8 pixels, labels, classes, fixed splits and content hashes."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fastgan.data.hashing import keyed_order
from fastgan.data.sample import SPLITS
from fastgan.data.transform import Transform
from fastgan.errors import DataError


@dataclass(frozen=True)
class ImageSet:
    """Images at one size with everything a training must know about them.

    Args:
        images: uint8 [N, H, W, C].
        labels: int64 [N], positions in `classes`; None for an unlabelled set.
        classes: class names in sorted order, () for an unlabelled set.
        splits: uint8 [N], 0 train, 1 val, 2 test.
        hashes: uint64 [N], `hashing.content_hash` of each image as it is in `images`.
        name: what to give to `load` to get the set again: a name, an absolute path, or "array".
        transform: how the images came to this size.
        skipped: (name, reason) of every image that was found and could not be used.
        dropped: how many images were left out because an identical one is on the other side of an official
            split.
    """

    images: np.ndarray
    labels: np.ndarray | None
    classes: tuple[str, ...]
    splits: np.ndarray
    hashes: np.ndarray
    name: str
    transform: Transform
    skipped: list[tuple[str, str]] = field(default_factory=list)
    dropped: int = 0

    def __post_init__(self) -> None:
        n = len(self.images)
        if self.images.dtype != np.uint8 or self.images.shape[1:] != self.transform.shape:
            raise ValueError(
                f"ImageSet: images must be uint8 [N, {', '.join(map(str, self.transform.shape))}], "
                f"got {self.images.dtype} {list(self.images.shape)}"
            )
        for name, array, dtype in (("splits", self.splits, np.uint8), ("hashes", self.hashes, np.uint64)):
            if array.shape != (n,) or array.dtype != dtype:
                raise ValueError(
                    f"ImageSet: {name} must be {np.dtype(dtype)} [{n}], got {array.dtype} {list(array.shape)}"
                )
        if (self.labels is None) != (not self.classes):
            raise ValueError("ImageSet: labels and classes must be given together, or neither")
        if self.labels is not None and (self.labels.shape != (n,) or self.labels.dtype != np.int64):
            raise ValueError(f"ImageSet: labels must be int64 [{n}], got {self.labels.dtype} {list(self.labels.shape)}")
        if list(self.classes) != sorted(set(self.classes)):
            raise ValueError(f"ImageSet: classes must be different and sorted, got {self.classes!r}")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def num_classes(self) -> int:
        """Number of classes, 0 for an unlabelled set."""
        return len(self.classes)

    def select(self, indices: np.ndarray | Sequence[int]) -> "ImageSet":
        """The images at `indices` (integers, or a mask of length N), in that order; classes stay."""
        indices = np.asarray(indices)
        if indices.size == 0:
            indices = indices.astype(np.int64)
        return replace(
            self,
            images=self.images[indices],
            labels=None if self.labels is None else self.labels[indices],
            splits=self.splits[indices],
            hashes=self.hashes[indices],
        )

    def split(self, name: str) -> "ImageSet":
        """The images of "train", "val" or "test", in the order of the set; may be empty."""
        if name not in SPLITS:
            raise ValueError(f"ImageSet.split: name must be one of {', '.join(SPLITS)}, got {name!r}")
        return self.select(np.flatnonzero(self.splits == SPLITS.index(name)))

    def real_per_class(self, k: int, seed: int) -> "ImageSet":
        """Keep `k` training images of each class (of all where there are none); val and test stay whole.

        The choice is the first k in the order of a keyed hash of the image's content, so it depends on the
        images and the seed only, never on file names or order, and the choice for k is part of the choice for
        k + 1. Of identical images only the first counts. `train_hashes()` of the result records the choice
        and `only` repeats it.

        Raises:
            ValueError: k < 1.
            DataError: a class has fewer than k different training images.
        """
        if isinstance(k, bool) or int(k) != k or k < 1:
            raise ValueError(f"ImageSet.real_per_class: k must be a whole number of at least 1, got {k!r}")
        train = self._different_training()
        keys = keyed_order(self.hashes, seed)
        keep = self.splits != 0
        for label, name in enumerate(self.classes or (None,)):
            members = train if name is None else train[self.labels[train] == label]
            if members.size < k:
                raise DataError(
                    f"{'the set' if name is None else f'class {name!r}'} has {members.size} different "
                    f"training images, {k} were asked for: ask for at most {members.size} or add some"
                )
            keep[members[np.argsort(keys[members], kind="stable")[:k]]] = True
        return self.select(np.flatnonzero(keep))

    def only(self, train_hashes: Iterable[str]) -> "ImageSet":
        """Keep the training images that `train_hashes` of a subset names; val and test stay whole.

        Raises DataError if one of them is not among the training images.
        """
        wanted = np.array(sorted({int(text, 16) for text in train_hashes}), np.uint64)
        train = self._different_training()
        members = train[np.isin(self.hashes[train], wanted)]
        if members.size < wanted.size:
            raise DataError(
                f"{self.name} has {members.size} of the {wanted.size} recorded training images: "
                "it has changed since; restore it or train anew"
            )
        keep = self.splits != 0
        keep[members] = True
        return self.select(np.flatnonzero(keep))

    def _different_training(self) -> np.ndarray:
        """Positions of the training images, the first of each content, in order."""
        train = np.flatnonzero(self.splits == 0)
        return train[np.sort(np.unique(self.hashes[train], return_index=True)[1])]

    def counts(self) -> dict[str, int]:
        """Images in each split."""
        return {name: int((self.splits == i).sum()) for i, name in enumerate(SPLITS)}

    def class_counts(self) -> dict[str, dict[str, int]]:
        """Images by class name and split; empty for an unlabelled set."""
        return {
            name: {split: int(((self.labels == c) & (self.splits == s)).sum()) for s, split in enumerate(SPLITS)}
            for c, name in enumerate(self.classes)
        }

    def describe(self) -> dict[str, Any]:
        """JSON values for a run's config: name, counts, classes, transform and what was left out.

        `sha256` is a hex SHA-256 over the class names and, for every image, its content hash, label and split,
        sorted: equal for the same labelled images in the same splits, whatever the files are called. `train_sha256`
        and `test_sha256` are the same of those splits alone.
        """
        return {
            "name": self.name,
            "counts": self.counts(),
            "classes": list(self.classes),
            "transform": self.transform.to_json(),
            "sha256": self._digest(),
            "train_sha256": self.split("train")._digest(),
            "test_sha256": self.split("test")._digest(),
            "skipped": len(self.skipped),
            "dropped": self.dropped,
        }

    def train_hashes(self) -> list[str]:
        """Content hashes of the training images, 16 hex digits each, sorted: what a run has seen."""
        return [f"{h:016x}" for h in np.sort(self.hashes[self.splits == 0]).tolist()]

    def by_content(self) -> "ImageSet":
        """The same images in the order of content hash, then label: independent of file names and their order."""
        return self.select(self._content_order())

    def _content_order(self) -> np.ndarray:
        labels = np.zeros(len(self), np.int64) if self.labels is None else self.labels
        return np.lexsort((self.splits, labels, self.hashes))

    def _digest(self) -> str:
        order = self._content_order()
        digest = hashlib.sha256(json.dumps(list(self.classes)).encode())
        digest.update(self.hashes[order].astype("<u8").tobytes())
        if self.labels is not None:
            digest.update(self.labels[order].astype("<i8").tobytes())
        digest.update(self.splits[order].astype("u1").tobytes())
        return digest.hexdigest()
