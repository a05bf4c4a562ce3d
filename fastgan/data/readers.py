"""The registry of readers: which one opens a path, and how to add another."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fastgan.data import archive, arrays, folder, idx
from fastgan.data.limits import Limits
from fastgan.data.sample import Source
from fastgan.errors import DataError


@dataclass(frozen=True)
class Reader:
    """One kind of source.

    Args:
        name: what it reads, in a few words for error messages.
        matches: whether a path that exists is of this kind, by name and kind of file, not by reading it.
        open: lists the images of such a path as a `Source`; raises DataError.
    """

    name: str
    matches: Callable[[Path], bool]
    open: Callable[[Path, Limits], Source]


_READERS: list[Reader] = []


def register(reader: Reader, first: bool = True) -> None:
    """Add a reader; `first` asks it before those that are there."""
    _READERS.insert(0 if first else len(_READERS), reader)


def readers() -> tuple[Reader, ...]:
    """The readers in the order in which they are asked."""
    return tuple(_READERS)


def open_path(path: Path, limits: Limits) -> Source:
    """List the images of a folder or file. Raises DataError for a path that is missing or unknown."""
    if not path.exists():
        raise DataError(f"{path} does not exist; give a folder of images, a file of them, or the name of a known set")
    for reader in _READERS:
        if reader.matches(path):
            return reader.open(path, limits)
    known = ", ".join(reader.name for reader in _READERS)
    raise DataError(f"{path} is not a kind of data set that is read; these are: {known}")


for _reader in (
    Reader("IDX (.gz)", idx.is_idx, idx.open_idx),
    Reader(".npz", lambda path: path.suffix == ".npz", arrays.open_npz),
    Reader(".npy", lambda path: path.suffix == ".npy", arrays.open_npy),
    Reader(".tar (.gz)", archive.is_tar, archive.open_tar),
    Reader("a folder of images", Path.is_dir, folder.open_folder),
):
    register(_reader, first=False)
