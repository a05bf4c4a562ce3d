"""Reader of folders of images: flat, one folder per class, or either of them under train/, val/, test/."""

import os
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from fastgan.data.decode import SUFFIXES, BadImage
from fastgan.data.layout import Found, arrange
from fastgan.data.limits import Limits
from fastgan.data.sample import Source
from fastgan.errors import DataError


def open_folder(path: Path, limits: Limits) -> Source:
    """Find the images under `path`, sorted by relative name; see `layout.arrange` for what the folders mean.

    Names that begin with a dot are ignored; files of other endings are reported once per ending. Links to
    folders are followed, each folder once.
    """
    names, others = _walk(path)
    if not names:
        kinds = f", only {sum(others.values())} file(s) of other kinds" if others else ""
        raise DataError(f"{path} holds no PNG, JPEG or WebP image{kinds}; give a folder of images")
    found = [Found(_text(name), _text(str(path / name)), partial(_open_file, path / name, limits)) for name in names]
    entries, outside = arrange(found)
    skipped = [
        (f"*{suffix}" if suffix else "files without an ending", f"{count} file(s) of a kind that is not read")
        for suffix, count in sorted(others.items())
    ]
    return Source(str(path), entries, skipped + outside)


def _text(name: str) -> str:
    """A file name that can be printed and stored: bytes that are no UTF-8 become U+FFFD."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _open_file(path: Path, limits: Limits) -> BinaryIO:
    try:
        size = path.stat().st_size
        if size > limits.member_bytes:
            raise BadImage(f"{size:,} bytes, more than the limit of {limits.member_bytes:,}")
        return open(path, "rb")
    except OSError as error:
        raise BadImage(f"cannot be opened ({error.strerror})") from None


def _walk(root: Path) -> tuple[list[str], Counter[str]]:
    """Relative names (with `/`) of image files, sorted, and how many other files there are of each ending."""
    found: list[str] = []
    others: Counter[str] = Counter()
    for name in _names(root):
        suffix = os.path.splitext(name)[1].lower()
        if suffix in SUFFIXES:
            found.append(name)
        else:
            others[suffix] += 1
    return sorted(found), others


def _names(root: Path) -> Iterator[str]:
    seen: set[tuple[int, int]] = set()

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename} cannot be listed ({error.strerror})")

    for folder, subfolders, files in os.walk(root, followlinks=True, onerror=refuse):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            subfolders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        relative = Path(folder).relative_to(root)
        for name in files:
            if not name.startswith("."):
                yield (relative / name).as_posix()
