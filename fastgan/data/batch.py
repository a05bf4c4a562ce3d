"""Work on all entries of a source in threads, in order, with unusable images named and left out."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from fastgan.data.decode import BadImage, Header, decode, probe
from fastgan.data.limits import Limits
from fastgan.data.sample import Entry, Source
from fastgan.data.transform import Transform
from fastgan.errors import DataError
from fastgan.progress import Progress

_CHUNK = 64  # entries a task: small enough for a lively progress, large enough to hide the cost of a task
T = TypeVar("T")


def header_of(entry: Entry, limits: Limits) -> Header:
    """Natural size and kind of an entry; raises BadImage."""
    if entry.array is not None:
        height, width, channels = entry.array.shape
        return Header(height, width, channels == 1, channels == 4)
    with entry.open() as file:
        return probe(file, limits)


def pixels_of(entry: Entry, transform: Transform, limits: Limits) -> np.ndarray:
    """An entry as uint8 [H, W, C] after the transform; raises BadImage."""
    if entry.array is not None:
        return transform.apply(entry.array)
    with entry.open() as file:
        image = decode(file, limits)
    return transform.apply(image)


def first_of(skipped: list[tuple[str, str]]) -> str:
    """The end of an error sentence: the first thing that was skipped, and why."""
    return f"; the first is {skipped[0][0]}: {skipped[0][1]}" if skipped else ""


@dataclass
class Batch:
    """The entries of a listing that are still usable, and what was skipped on the way."""

    listing: Source
    entries: list[Entry]
    skipped: list[tuple[str, str]]

    def map(self, work: Callable[[Entry], T], text: str, progress: Progress | None) -> list[T]:
        """`work` of every entry, in order; entries for which it raises BadImage leave the batch, named.

        Raises DataError if none is left.
        """
        good: list[tuple[Entry, T]] = []
        bad: list[tuple[str, str]] = []
        for entry, result in _in_threads(work, self.entries, text, progress):
            if isinstance(result, BadImage):
                bad.append((entry.key, str(result)))
            else:
                good.append((entry, result))
        self.skipped += bad
        if not good:
            count = len(self.listing.entries)
            first = first_of(self.skipped[len(self.listing.skipped) :])
            raise DataError(f"{self.listing.name}: none of its {count} image(s) can be used{first}")
        self.entries = [entry for entry, _ in good]
        return [result for _, result in good]


def _in_threads(
    work: Callable[[Entry], T], entries: list[Entry], text: str, progress: Progress | None
) -> Iterator[tuple[Entry, T | BadImage]]:
    """(entry, work(entry) or the BadImage it raised), in order; decoders drop the GIL, so threads help."""

    def chunk(part: list[Entry]) -> list[tuple[Entry, T | BadImage]]:
        return [(entry, _try(work, entry)) for entry in part]

    parts = [entries[first : first + _CHUNK] for first in range(0, len(entries), _CHUNK)]
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        try:
            for number, results in enumerate(pool.map(chunk, parts)):
                if progress:
                    progress(min(len(entries), (number + 1) * _CHUNK), len(entries), text)
                yield from results
        finally:
            pool.shutdown(cancel_futures=True)  # an interrupt does not wait for the rest


def _try(work: Callable[[Entry], T], entry: Entry) -> T | BadImage:
    try:
        return work(entry)
    except BadImage as error:
        return error
