"""Format imagefolder: one PNG file an image, in a folder a class."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from fastgan.synth.blocks import Block
from fastgan.synth.classes import UNLABELLED_FOLDER, labels_of
from fastgan.synth.writers.base import Shard, Writer, key_of
from fastgan.synth.writers.png import decode_png, encode_png


class ImageFolderWriter(Writer):
    """`<class>/<nine digits>.png`; a run without labels has the one folder `images`."""

    def encode(self, staging: Path, block: Block) -> bytes:
        """Write the block's images; returns the bytes of their files, one after the other."""
        labels = block.labels.tolist()
        for label in set(labels):
            (staging / self._folder(label)).mkdir(exist_ok=True)
        pngs = [encode_png(image, self.layout.png_level) for image in block.images]
        for i, (label, png) in enumerate(zip(labels, pngs, strict=True), block.first):
            with open(f"{staging}/{self._path(i, label)}", "wb") as f:
                f.write(png)
        return b"".join(pngs)

    def assemble(self, staging: Path, shard: Shard, encoded: Iterable[bytes]) -> str:
        """Hash the blocks: their files are complete already."""
        digest = hashlib.sha256()
        for pngs in encoded:
            digest.update(pngs)
        return digest.hexdigest()

    def paths(self, shard: Shard) -> list[str]:
        """One path an image, in the order of the images."""
        labels = labels_of(self.layout.cycle, shard.first, shard.count).tolist()
        return [self._path(i, label) for i, label in enumerate(labels, shard.first)]

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
        return f"{self._folder(label)}/{key_of(index)}.png"

    def _folder(self, label: int) -> str:
        return self.layout.folders[label] if self.layout.folders else UNLABELLED_FOLDER
