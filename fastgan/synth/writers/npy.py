"""Format npy: shards of images as NumPy arrays, and one array of labels."""

import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from fastgan.synth.blocks import Block
from fastgan.synth.classes import labels_of
from fastgan.synth.writers.base import HashedFile, Shard, Writer


class NpyWriter(Writer):
    """`images-000000.npy` ..., uint8 [count, H, W, C], and `labels.npy`, int64 [n], absent without labels."""

    def encode(self, block: Block) -> np.ndarray:
        """The pixels: they lie as they stand in the file."""
        return block.images

    def assemble(self, staging: Path, shard: Shard, encoded: Iterable[np.ndarray]) -> str:
        """Write header and pixels in order. Plain writes: a memory map would die of SIGBUS on a full disk."""
        shape = (shard.count, *self.layout.size, self.layout.channels)
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        with open(staging / self.paths(shard)[0], "wb") as f:
            hashed = HashedFile(f)
            np.lib.format.write_array_header_1_0(hashed, header)
            for pixels in encoded:
                hashed.write(pixels)
            return hashed.sha256()

    def paths(self, shard: Shard) -> list[str]:
        """One array of images."""
        return [f"images-{shard.index:06d}.npy"]

    def read(self, root: Path, shard: Shard) -> Iterator[tuple[np.ndarray, None]]:
        """The images; their labels stand in labels.npy."""
        name = self.paths(shard)[0]
        try:
            images = np.load(root / name, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise ValueError(f"{name}: not a whole NumPy file ({error})") from None
        shape = (shard.count, *self.layout.size, self.layout.channels)
        if images.shape != shape or images.dtype != np.uint8:
            raise ValueError(f"{name}: expected uint8 {shape}, got {images.dtype} {images.shape}")
        for image in images:
            yield image, None

    def set_files(self) -> dict[str, bytes]:
        """labels.npy."""
        if not self.layout.cycle:
            return {}
        buffer = io.BytesIO()
        np.save(buffer, labels_of(self.layout.cycle, 0, self.layout.n))
        return {"labels.npy": buffer.getvalue()}
