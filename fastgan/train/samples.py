"""Sample grids: what the averaged generator makes of the same latent vectors, snapshot after snapshot."""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from fastgan import files, noise
from fastgan.device import autocast
from fastgan.models import Generator
from fastgan.models.pixels import to_uint8

_COLUMNS = 10
_ROWS_WITHOUT_CLASSES = 8
_MOST_CLASSES = 20
_GAP = 1


def sample_images(
    generator: Generator, seed: int, count: int, labels: np.ndarray | None, precision: str = "fp32"
) -> np.ndarray:
    """Images uint8 [count, H, W, C] of latent vectors 0..count-1 of stream TEST, made in batches of 100."""
    device = next(generator.parameters()).device
    z = torch.from_numpy(noise.normal(seed, noise.Stream.TEST, 0, count, generator.z_dim)).to(device)
    c = None if labels is None else torch.from_numpy(labels).to(device)
    out = []
    with torch.no_grad(), autocast(device, precision):
        for i in range(0, count, 100):
            batch = generator(z[i : i + 100], None if c is None else c[i : i + 100])
            out.append(to_uint8(batch.float()).cpu().numpy())
    return np.concatenate(out)


def write_grid(path: Path, generator: Generator, seed: int, precision: str = "fp32") -> None:
    """Write a PNG with one row of ten images a class (the first 20 classes), or 8 rows without classes."""
    rows = min(generator.num_classes, _MOST_CLASSES) or _ROWS_WITHOUT_CLASSES
    labels = np.repeat(np.arange(rows), _COLUMNS) if generator.num_classes else None
    images = sample_images(generator, seed, rows * _COLUMNS, labels, precision)
    buffer = io.BytesIO()
    Image.fromarray(tile(images, _COLUMNS)).save(buffer, "PNG")
    files.write_bytes(path, buffer.getvalue())


def tile(images: np.ndarray, columns: int) -> np.ndarray:
    """Lay uint8 [N, H, W, C] out in rows of `columns`, a pixel of white between: uint8 [H', W'] or [H', W', C]."""
    count, height, width, channels = images.shape
    rows = -(-count // columns)
    shape = (rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, channels)
    sheet = np.full(shape, 255, np.uint8)
    for i, image in enumerate(images):
        y, x = (i // columns) * (height + _GAP), (i % columns) * (width + _GAP)
        sheet[y : y + height, x : x + width] = image
    return sheet[..., 0] if channels == 1 else sheet
