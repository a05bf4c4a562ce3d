"""What is in a source before anything is chosen: natural sizes and kinds of images, from their headers."""

from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from fastgan.data.batch import Batch, header_of
from fastgan.data.limits import DEFAULT_LIMITS, Limits
from fastgan.data.load import open_source
from fastgan.progress import Progress


@dataclass(frozen=True)
class Survey:
    """Counts over the images whose headers can be read.

    Args:
        sizes: images by (height, width), upright.
        grey: images without colour.
        alpha: images that may be transparent.
    """

    sizes: Counter[tuple[int, int]]
    grey: int
    alpha: int

    def __len__(self) -> int:
        return sum(self.sizes.values())


def survey(
    source: str | Path | np.ndarray | tuple[np.ndarray, np.ndarray],
    *,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress | None = None,
) -> Survey:
    """Read the headers of a source as `load` takes it. Raises DataError if no image can be used."""
    listing = open_source(source, limits, progress)
    batch = Batch(listing, listing.entries, [])
    headers = batch.map(partial(header_of, limits=limits), "reading headers", progress)
    return Survey(
        Counter((header.height, header.width) for header in headers),
        sum(header.grey for header in headers),
        sum(header.alpha for header in headers),
    )
