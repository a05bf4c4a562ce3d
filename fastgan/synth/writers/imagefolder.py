"""Format imagefolder: one PNG file an image, in a folder a class."""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from fastgan.synth.blocks import Block
from fastgan.synth.classes import UNLABELLED_FOLDER, labels_of
from fastgan.synth.writers.base import Shard, Writer, key_of, write_file
from fastgan.synth.writers.png import decode_png, encode_png


class ImageFolderWriter(Writer):
    """`<class>/<nine digits>.png`; a run without labels has the one folder `images`."""

    def encode(self, block: Block) -> list[bytes]:
        """The block's files."""
        return [encode_png(image, self.layout.png_level) for image in block.images]

    def assemble(self, staging: Path, shard: Shard, encoded: Iterable[list[bytes]]) -> None:
        """Write the files in the order of the images."""
        for path, png in zip(self.paths(shard), itertools.chain.from_iterable(encoded), strict=True):
            write_file(staging / path, png)

    def paths(self, shard: Shard) -> list[str]:
        """One path an image, in the order of the images."""
        labels = labels_of(self.layout.cycle, shard.first, shard.count)
        return [self._path(i, int(label)) for i, label in enumerate(labels, shard.first)]

    def read(self, root: Path, shard: Shard) -> Iterator[tuple[np.ndarray, None]]:
        """The images; their label is the folder they were found in."""
        for path in self.paths(shard):
            try:
                with open(root / path, "rb") as f:
                    image = decode_png(f, self.layout.size, self.layout.channels)
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from None
            yield image, None

    def _path(self, index: int, label: int) -> str:
        folder = self.layout.folders[label] if self.layout.folders else UNLABELLED_FOLDER
        return f"{folder}/{key_of(index)}.png"
