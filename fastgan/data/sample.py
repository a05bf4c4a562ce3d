"""The one shape in which every reader hands over an image: a `Sample`, made from a lazy `Entry`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Sample:
    """One decoded image with what is known about it.

    Args:
        key: name of the image inside its source, with `/` between folders; unique in the source.
        image: uint8 [H, W, C], C in {1, 3, 4}, at its natural size.
        label: class name, or None where the source has no classes.
        split: "train", "val" or "test" where the source itself says so, else None.
        boxes: float32 [K, 4] as x0, y0, x1, y1 in pixels, or None.
        mask: uint8 [H, W], or None.
        provenance: where the image came from: a path, `archive#member` or `array#index`.
    """

    key: str
    image: np.ndarray
    label: str | None = None
    split: str | None = None
    boxes: np.ndarray | None = None
    mask: np.ndarray | None = None
    provenance: str = ""


@dataclass(frozen=True)
class Entry:
    """One image that has been found and not yet decoded; exactly one of `open` and `array` is set.

    Args:
        key, label, split, provenance: as in `Sample`.
        open: returns a seekable binary file with an encoded image; may be called more than once, from any
            thread.
        array: uint8 [H, W, C], C in {1, 3, 4}.
    """

    key: str
    label: str | None = None
    split: str | None = None
    provenance: str = ""
    open: Callable[[], BinaryIO] | None = None
    array: np.ndarray | None = None


@dataclass
class Source:
    """What a reader found: entries in an order that depends on the content alone, and what it left out.

    `skipped` holds (name, reason) pairs. A source whose entries carry labels carries them on every entry.
    """

    name: str
    entries: list[Entry]
    skipped: list[tuple[str, str]] = field(default_factory=list)
