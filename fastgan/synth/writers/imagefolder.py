"""Format imagefolder: one PNG file an image, in a folder a class."""

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from fastgan.synth.blocks import Block
from fastgan.synth.classes import UNLABELLED_FOLDER, labels_of
from fastgan.synth.writers.base import Shard, Writer, key_of
from fastgan.synth.writers.png import decode_png, encode_png


class ImageFolderWriter(Writer):
    """`<class>/<nine digits>.png`; a run without labels has the one folder `images`."""

    def encode(self, block: Block) -> list[bytes]:
        """The block's files."""
        return [encode_png(image, self.layout.png_level) for image in block.images]

    def assemble(self, staging: Path, shard: Shard, encoded: Iterable[list[bytes]]) -> str:
        """Write the files in the order of the images."""
        digest = hashlib.sha256()
        for label in set(labels_of(self.layout.cycle, shard.first, shard.count).tolist()):
            (staging / self._folder(label)).mkdir(exist_ok=True)
        for path, png in zip(self.paths(shard), itertools.chain.from_iterable(encoded), strict=True):
            digest.update(png)
            with open(f"{staging}/{path}", "wb") as f:  # a Path for every image would show in the time
                f.write(png)
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
