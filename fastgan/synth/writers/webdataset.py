"""Format webdataset: tar shards of `<nine digits>.png` and `<nine digits>.cls`."""

import io
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from webdataset import TarWriter

from fastgan.synth.blocks import Block
from fastgan.synth.writers.base import HashedFile, Shard, Writer, key_of
from fastgan.synth.writers.png import decode_png, encode_png

_LARGEST_MEMBER = 1 << 28  # bytes; a bound on what a damaged header can make us read


class WebDatasetWriter(Writer):
    """`shard-000000.tar` and so on; `.cls` is the label as decimal digits and is absent without labels."""

    def encode(self, block: Block) -> list[dict]:
        """The block's samples, ready for the archive."""
        return [
            self._sample(i, image, int(label))
            for i, (image, label) in enumerate(zip(block.images, block.labels, strict=True), block.first)
        ]

    def assemble(self, staging: Path, shard: Shard, encoded: Iterable[list[dict]]) -> str:
        """Write the archive; times and owners are fixed, so equal samples give equal bytes."""
        with open(staging / self.paths(shard)[0], "wb") as f:
            hashed = HashedFile(f)
            with TarWriter(hashed, encoder=False, mtime=0, user="fastgan", group="fastgan") as archive:
                for samples in encoded:
                    for sample in samples:
                        archive.write(sample)
            return hashed.sha256()

    def paths(self, shard: Shard) -> list[str]:
        """One archive."""
        return [f"shard-{shard.index:06d}.tar"]

    def read(self, root: Path, shard: Shard) -> Iterator[tuple[np.ndarray, int | None]]:
        """Stream the members in order; nothing is extracted."""
        name = self.paths(shard)[0]
        try:
            with tarfile.open(root / name, "r|") as archive:
                for i in range(shard.first, shard.first + shard.count):
                    label = int(self._member(archive, f"{key_of(i)}.cls")) if self.layout.cycle else None
                    png = io.BytesIO(self._member(archive, f"{key_of(i)}.png"))
                    yield decode_png(png, self.layout.size, self.layout.channels), label
                if extra := archive.next():
                    raise ValueError(f"holds {extra.name!r} beyond its {shard.count} images")
        except (tarfile.TarError, ValueError) as error:
            raise ValueError(f"{name}: {error}") from None

    def _sample(self, index: int, image: np.ndarray, label: int) -> dict:
        sample = {"__key__": key_of(index), "png": encode_png(image, self.layout.png_level)}
        if self.layout.cycle:
            sample["cls"] = str(label).encode()
        return sample

    @staticmethod
    def _member(archive: tarfile.TarFile, name: str) -> bytes:
        member = archive.next()
        if member is None or member.name != name:
            raise ValueError(f"expected member {name!r}, got {member.name if member else 'the end'!r}")
        if not member.isreg() or member.size > _LARGEST_MEMBER:
            raise ValueError(f"member {name!r} is not a regular file of a sensible size")
        return archive.extractfile(member).read()
