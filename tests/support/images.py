"""Real image files for tests: pictures, class folders, and the odd PNGs that no library writes."""

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int, height: int = 12, width: int = 12, channels: int = 3) -> np.ndarray:
    """uint8 [H, W, C] of smooth noise: every seed another picture, and JPEG does it little harm."""
    coarse = np.random.default_rng(seed).integers(0, 256, (3, 3, channels), np.uint8)
    planes = [
        Image.fromarray(coarse[..., c]).resize((width, height), Image.Resampling.BICUBIC) for c in range(channels)
    ]
    return np.stack([np.asarray(plane) for plane in planes], axis=-1)


def save(path: Path, array: np.ndarray, image_format: str | None = None, **options) -> Path:
    """Write uint8 [H, W, C] to `path`, making its folders; the format follows the name unless it is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)
    image.save(path, image_format, **options)
    return path


def class_folder(root: Path, counts: dict[str, int], height: int = 12, width: int = 12, channels: int = 3) -> Path:
    """One folder of different PNGs per class name under `root`."""
    seed = 0
    for name, count in counts.items():
        for i in range(count):
            seed += 1
            save(root / name / f"{i:03d}.png", picture(seed, height, width, channels))
    return root


def png(path: Path, width: int, height: int, depth: int, colour: int, row: bytes, rows: int | None = None) -> Path:
    """A PNG by hand: `rows` rows (all of `height`) that hold the bytes `row`, packed as they are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    packer = zlib.compressobj(1)
    packed = b"".join(packer.compress(b"\0" + row) for _ in range(height if rows is None else rows)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b""))
    return path


def bomb_png(path: Path) -> Path:
    """30,000 x 30,000 pixels in a file of about half a megabyte."""
    return png(path, 30_000, 30_000, depth=1, colour=0, row=b"\0" * 3750)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
