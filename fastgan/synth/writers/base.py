"""What every writer of a generated set is and is given."""

import abc
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from fastgan.synth.blocks import Block


@dataclass(frozen=True)
class Layout:
    """What is the same for all shards of one set.

    Attributes:
        n: images in the whole set.
        size: height and width in pixels.
        channels: 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA.
        cycle: label of image i is `cycle[i % len(cycle)]`; empty without labels.
        folders: a folder name for each class; empty without labels.
        png_level: zlib level of PNG files, 0 to 9.
    """

    n: int
    size: tuple[int, int]
    channels: int
    cycle: Sequence[int]
    folders: Sequence[str]
    png_level: int


@dataclass(frozen=True)
class Shard:
    """Images first .. first + count - 1: the unit that is written whole or not at all."""

    index: int
    first: int
    count: int


class Writer(abc.ABC):
    """Turns blocks of images into the files of a shard, and reads those files back.

    `encode` runs in worker threads, ahead of the shard at hand, and touches no disk: what later shards need is not
    taken from this one. `assemble` runs in one thread, in order, and writes below `staging` only; the caller makes
    `paths(shard)` durable and renames them to their place.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    @abc.abstractmethod
    def encode(self, block: Block) -> Any:
        """Do the work that blocks can do side by side; the result goes to `assemble`."""

    @abc.abstractmethod
    def assemble(self, staging: Path, shard: Shard, encoded: Iterable[Any]) -> str:
        """Write the shard from its encoded blocks, which come in the order of their images.

        Returns:
            What `hash_files` would find: the bytes are hashed while they are at hand.
        """

    @abc.abstractmethod
    def paths(self, shard: Shard) -> list[str]:
        """The files of a shard relative to the set, in the order in which they are hashed."""

    @abc.abstractmethod
    def read(self, root: Path, shard: Shard) -> Iterator[tuple[np.ndarray, int | None]]:
        """The images of a shard in order: uint8 [H, W, C] and the label that the files give it, None if none.

        Raises:
            ValueError: the files hold something else than this shard (one sentence).
        """

    def set_files(self) -> dict[str, bytes]:
        """Small files of the set as a whole, by relative path; written before the manifest."""
        return {}

    def hash_files(self, root: Path, shard: Shard) -> str:
        """SHA-256 in hex over the bytes of the shard's files, one after the other in the order of `paths`."""
        digest = hashlib.sha256()
        for path in self.paths(shard):
            with open(root / path, "rb") as f:
                while chunk := f.read(1 << 20):
                    digest.update(chunk)
        return digest.hexdigest()


class HashedFile:
    """A binary file that hashes what is written to it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def write(self, data: bytes | np.ndarray) -> int:
        """As the file's own."""
        self._digest.update(data)
        return self._file.write(data)

    def sha256(self) -> str:
        """Of all that was written, in hex."""
        return self._digest.hexdigest()


def key_of(index: int) -> str:
    """The name of image `index`: nine digits, so that the order of names is the order of images."""
    return f"{index:09d}"


def write_file(path: Path, data: bytes) -> None:
    """Write a file; missing parent folders are created."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
