"""Which class image i belongs to, and the folder a class is stored in."""

import hashlib
from collections.abc import Sequence
from urllib.parse import quote

import numpy as np

from fastgan.errors import DataError

BALANCED = "balanced"
UNLABELLED_FOLDER = "images"

_LONGEST_FOLDER = 150  # bytes; file systems stop at 255
_RESERVED = {"con", "prn", "aux", "nul", *(f"{d}{i}" for d in ("com", "lpt") for i in range(1, 10))}
_KEPT = " !#$&'()+,;=@[]^`{}~-_."  # printable and harmless on Linux, macOS and Windows; "%" is the escape


def label_cycle(wanted: str | Sequence[str | int], names: Sequence[str]) -> tuple[int, ...]:
    """The labels of images 0, 1, 2, ...: image i has label `cycle[i % len(cycle)]`.

    Args:
        wanted: "balanced" for every class in turn; else class names or indices, as a sequence or as one
            string with commas. A name wins over an index; a class that stands there twice gets twice the
            share.
        names: the class names of the run in the order of their labels; empty for a run without labels.

    Returns:
        Indices into `names`; empty for a run without labels.

    Raises:
        DataError: an entry is neither a class nor an index of one, or the run has no classes to choose from.
    """
    if wanted == BALANCED:
        return tuple(range(len(names)))
    if not names:
        raise DataError("classes cannot be chosen: this run was trained without labels; leave classes out")
    entries = [part.strip() for part in wanted.split(",")] if isinstance(wanted, str) else list(wanted)
    if not entries:
        raise DataError(f"classes must name at least one class, got none; the run has {_listed(names)}")
    return tuple(_index_of(entry, names) for entry in entries)


def labels_of(cycle: Sequence[int], first: int, count: int) -> np.ndarray:
    """Labels of images first .. first + count - 1: int64 [count], -1 where there are no labels."""
    if not cycle:
        return np.full(count, -1, np.int64)
    return np.asarray(cycle, np.int64)[np.arange(first, first + count, dtype=np.int64) % len(cycle)]


def class_folders(names: Sequence[str]) -> tuple[str, ...]:
    """A folder name for every class: the class name wherever that is safe, percent-encoded where it is not.

    Encoded are separators, control characters, the characters Windows refuses, "%", a leading or trailing
    dot or blank, device names such as CON, and as much of the start of a name as sets it apart from an
    earlier one that differs by case alone. `urllib.parse.unquote` gives the class name back, except for
    names beyond 150 encoded bytes: those are cut and end in "~" and 12 digits of their SHA-256.
    """
    folders: list[str] = []
    taken: set[str] = set()
    for name in names:
        candidates = (_with_escaped_start(name, k) for k in range(len(name) + 1))
        folder = next(c for c in candidates if c.casefold() not in taken)
        taken.add(folder.casefold())
        folders.append(folder)
    return tuple(folders)


def _safe(name: str) -> str:
    folder = "".join(c if c.isalnum() or c in _KEPT else _escape(c) for c in name)
    if not folder:
        return "%"  # unquote leaves it alone, and no class name is encoded to it
    if folder[0] in ". " or folder.split(".")[0].casefold() in _RESERVED:
        folder = _escape(folder[0]) + folder[1:]
    if folder[-1] in ". ":
        folder = folder[:-1] + _escape(folder[-1])
    raw = folder.encode()
    if len(raw) <= _LONGEST_FOLDER:
        return folder
    start = raw[: _LONGEST_FOLDER - 13].decode(errors="ignore")
    return f"{start}~{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def _with_escaped_start(name: str, count: int) -> str:
    if count == 0:
        return _safe(name)
    return "".join(_escape(c) for c in name[:count]) + _safe("x" + name[count:])[1:]


def _escape(character: str) -> str:
    quoted = quote(character, safe="")
    return quoted if quoted != character else f"%{ord(character):02X}"


def _index_of(entry: str | int, names: Sequence[str]) -> int:
    text = str(entry)
    if not isinstance(entry, int) and text in names:
        return list(names).index(text)
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    raise DataError(f"classes has {text!r}, which is no class of this run; it has {_listed(names)}")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"{i}: {name}" for i, name in enumerate(names[:20]))
    return f"{shown} and {len(names) - 20} more" if len(names) > 20 else shown
