"""From a source to an `ImageSet`: read, decode in threads, transform, hash, split."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from fastgan.data import hashing
from fastgan.data.arrays import array_source
from fastgan.data.batch import Batch, first_of, header_of, pixels_of
from fastgan.data.catalogue import NAMES, open_named
from fastgan.data.decode import BadImage, Header, decode
from fastgan.data.imageset import ImageSet
from fastgan.data.limits import DEFAULT_LIMITS, Limits
from fastgan.data.readers import open_path
from fastgan.data.sample import SPLITS, Entry, Sample, Source
from fastgan.data.transform import Alpha, Fit, Transform
from fastgan.errors import DataError
from fastgan.progress import Progress

SizeRule = Callable[[int, int], tuple[int, int]]
LARGEST_SIDE = 64  # pixels, where no size is asked for


def open_source(
    source: str | Path | np.ndarray | tuple[np.ndarray, np.ndarray],
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress | None = None,
) -> Source:
    """List the images of a source without decoding them; see `load` for what a source may be."""
    if isinstance(source, np.ndarray):
        return array_source("array", {None: (source, None)})
    if isinstance(source, tuple):
        if len(source) != 2:
            raise TypeError(f"load: source must be a path, an array or (images, labels), got {len(source)} things")
        return array_source("array", {None: source})
    if not isinstance(source, str | Path):
        raise TypeError(f"load: source must be a path, an array or (images, labels), got {type(source).__name__}")
    if isinstance(source, str) and source in NAMES:
        return open_named(source, limits, progress)
    return open_path(Path(source).expanduser().absolute(), limits)


def samples(source: str | Path | np.ndarray | tuple, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[Sample]:
    """Every usable image of a source at its natural size, one after the other; unusable ones are left out."""
    for entry in open_source(source, limits).entries:
        try:
            image = entry.array if entry.array is not None else _natural(entry, limits)
        except BadImage:
            continue
        yield Sample(entry.key, image, entry.label, entry.split, provenance=entry.provenance)


def _natural(entry: Entry, limits: Limits) -> np.ndarray:
    with entry.open() as file:
        image = decode(file, limits)
    if image.mode == "LA":
        image = image.convert("RGBA")
    array = np.asarray(image)
    return array[..., None] if array.ndim == 2 else array


def load(
    source: str | Path | np.ndarray | tuple[np.ndarray, np.ndarray],
    *,
    size: tuple[int, int] | None = None,
    fit: Fit = "crop",
    channels: int | str = "auto",
    alpha: Alpha = "white",
    transform: Transform | None = None,
    valid_size: SizeRule | None = None,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress | None = None,
) -> ImageSet:
    """Load a data set into memory at one size.

    Args:
        source: a name in `NAMES`, the path of a folder, .npz, .npy, IDX or tar file, an array as
            `arrays.to_images` takes it, or (array, labels).
        size: (height, width); None takes the natural size if all images share it, else the median height and
            width; the larger side then comes down to 64 pixels if it is above, and `valid_size` has the last
            word.
        fit, alpha: see `Transform`.
        channels: 1, 3, 4, or "auto": 4 with alpha="keep", else 1 if no image has colour, else 3.
        transform: use exactly this one, as stored in a run; then size, fit, channels and alpha are not looked
            at.
        valid_size: maps (height, width) to a size that the model can do; asked only where `size` is None.
        limits: what one image or file may ask for.
        progress: called with (done, total, text).

    Returns:
        ImageSet in an order that depends on the source alone, not on threads. Images that cannot be used are
        in `skipped`. Splits are the source's own where it has them (`hashing.split_official`), else by
        content hash (`hashing.split_by_hash`).

    Raises:
        DataError: nothing there, nothing usable, or a file that is not what its name says.
        ValueError, TypeError: impossible arguments.
    """
    listing = open_source(source, limits, progress)
    if not listing.entries:
        raise DataError(f"{listing.name} holds no image that can be used{first_of(listing.skipped)}")
    batch = Batch(listing, listing.entries, list(listing.skipped))
    if transform is None:
        headers = batch.map(partial(header_of, limits=limits), "reading headers", progress)
        if size is None:
            height, width = natural_size(headers)
            size = valid_size(height, width) if valid_size else (height, width)
        transform = Transform(size, fit, _channels(channels, alpha, headers), alpha)
    images = batch.map(partial(pixels_of, transform=transform, limits=limits), "decoding", progress)
    return _assemble(batch, images, transform)


def natural_size(headers: list[Header]) -> tuple[int, int]:
    """Median (height, width) of the images, scaled down so that the larger side is at most LARGEST_SIDE."""
    height, width = (
        sorted(values)[len(values) // 2] for values in ([h.height for h in headers], [h.width for h in headers])
    )
    scale = min(1.0, LARGEST_SIDE / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _channels(channels: int | str, alpha: str, headers: list[Header]) -> int:
    if channels != "auto":
        return int(channels) if isinstance(channels, str) and channels.isdecimal() else channels
    if alpha == "keep":
        return 4
    return 1 if all(header.grey for header in headers) else 3


def _assemble(batch: Batch, images: list[np.ndarray], transform: Transform) -> ImageSet:
    entries = batch.entries
    hashes = np.array([hashing.content_hash(image) for image in images], np.uint64)
    names = sorted({entry.label for entry in entries if entry.label is not None})
    labels = None
    if len(names) > 1:
        index = {label: i for i, label in enumerate(names)}
        labels = np.array([index[entry.label] for entry in entries], np.int64)
    keep = np.ones(len(entries), bool)
    if any(entry.split is not None for entry in entries):
        official = np.array([SPLITS.index(entry.split) for entry in entries], np.uint8)
        splits, keep = hashing.split_official(hashes, official)
    else:
        splits = hashing.split_by_hash(hashes, labels)
    whole = ImageSet(
        np.stack(images),
        labels,
        tuple(names) if labels is not None else (),
        splits,
        hashes,
        batch.listing.name,
        transform,
        batch.skipped,
        int((~keep).sum()),
    )
    return whole if keep.all() else whole.select(np.flatnonzero(keep))
