"""What folders mean, on disk and in archives: official splits at the top, then the class, then nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from fastgan.data.sample import Entry

_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}


@dataclass(frozen=True)
class Found:
    """An encoded image: relative name with `/`, where it is in words, and how to open it."""

    name: str
    provenance: str
    open: Callable[[], BinaryIO]


def arrange(found: Sequence[Found]) -> tuple[list[Entry], list[tuple[str, str]]]:
    """Give every image its split and class by its folders.

    Folders called train (or training), val (or valid, validation) and test at the top are official splits if
    train or test is there and no other folder with images stands beside them. Below that the first folder is
    the class; deeper folders mean nothing. With fewer than two classes the set is unlabelled, and every image
    belongs to it.

    Returns:
        entries in the order of `found`, and (name, reason) of images that lie beside the folders that count.
    """
    paths = [image.name.split("/") for image in found]
    tops = {path[0].lower() for path in paths if len(path) > 1}
    by_split = bool(tops & {"train", "training", "test"}) and tops <= set(_SPLITS)
    splits = [_SPLITS[path[0].lower()] if by_split and len(path) > 1 else None for path in paths]
    inner = [path[1:] if split else path for path, split in zip(paths, splits, strict=True)]
    classes = {path[0] for path in inner if len(path) > 1}
    entries, skipped = [], []
    for image, path, split in zip(found, inner, splits, strict=True):
        if by_split and split is None:
            skipped.append((image.name, "lies outside train, val and test"))
        elif len(classes) > 1 and len(path) == 1:
            skipped.append((image.name, "lies outside every class folder"))
        else:
            label = path[0] if len(classes) > 1 else None
            entries.append(Entry(image.name, label, split, image.provenance, open=image.open))
    return entries, skipped
