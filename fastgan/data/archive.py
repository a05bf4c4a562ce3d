"""Reader of tar archives of images, plain or gzipped: members are streamed, nothing is ever extracted."""

import gzip
import io
import json
import posixpath
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

from fastgan.data.decode import SUFFIXES
from fastgan.data.layout import Found, arrange
from fastgan.data.limits import Limits
from fastgan.data.sample import Entry, Source
from fastgan.errors import DataError

ENDINGS = (".tar", ".tar.gz", ".tgz")
_LABEL_SUFFIXES = (".cls", ".json")
_LABEL_KEYS = ("label", "cls", "class", "class_name")
_HEADER_BYTES = 1 << 20  # a long name or PAX header above this is no name


def is_tar(path: Path) -> bool:
    """Whether `path` is a tar file by name, or a folder of such shards without images beside them."""
    if path.is_dir():
        return bool(_shards(path)) and not any(p.suffix.lower() in SUFFIXES or p.is_dir() for p in path.iterdir())
    return path.name.lower().endswith(ENDINGS)


def _shards(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.name.lower().endswith(ENDINGS) and not p.name.startswith("."))


@dataclass
class _Contents:
    """What the members of one or more archives gave: images by name, label texts by sample key."""

    images: dict[str, tuple[str, Callable[[], BinaryIO]]] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)


def open_tar(path: Path, limits: Limits) -> Source:
    """Read a tar file, or all shards of a folder in the order of their names.

    With `KEY.cls` or `KEY.json` members (webdataset) the label is theirs: the text of the first, or `label`,
    `cls`, `class` or `class_name` of the second. Else folders mean what they mean on disk, see
    `layout.arrange`. Links, devices, and names that are absolute or go up are named and skipped.

    Raises DataError for a damaged archive, one that ends early, or one above `limits`.
    """
    contents = _Contents()
    files = _shards(path) if path.is_dir() else [path]
    for file in files:
        _read_archive(file, f"{file.stem}/" if len(files) > 1 else "", contents, limits)
    if not contents.images:
        raise DataError(f"{path} holds no PNG, JPEG or WebP image")
    if contents.labels:
        return _webdataset(path, contents)
    found = [Found(name, where, open_) for name, (where, open_) in sorted(contents.images.items())]
    entries, skipped = arrange(found)
    return Source(str(path), entries, contents.skipped + skipped)


def _webdataset(path: Path, contents: _Contents) -> Source:
    entries = []
    for name, (where, open_) in contents.images.items():
        label = contents.labels.get(_key(name))
        if label is None:
            contents.skipped.append((name, "has no label beside it, as others do"))
            continue
        entries.append(Entry(name, label, None, where, open=open_))
    if entries and all(entry.label.isdecimal() for entry in entries):
        width = max(len(entry.label) for entry in entries)
        entries = [
            Entry(e.key, e.label.zfill(width), None, e.provenance, open=e.open) for e in entries
        ]  # so that sorted names keep the order of the numbers
    return Source(str(path), entries, contents.skipped)


def _key(name: str) -> str:
    """Webdataset's rule: the base name ends at its first dot."""
    folder, base = posixpath.split(name)
    return posixpath.join(folder, base.split(".", 1)[0])


def _read_archive(path: Path, prefix: str, contents: _Contents, limits: Limits) -> None:
    packed = not path.name.lower().endswith(".tar")
    ended = [False]

    class Member(tarfile.TarInfo):
        """Looks at each raw header: tarfile takes a cut or damaged archive for a shorter one."""

        @classmethod
        def frombuf(cls, buf, encoding, errors):
            ended[0] = len(buf) == tarfile.BLOCKSIZE and not buf.strip(b"\0")
            info = super().frombuf(buf, encoding, errors)
            if info.type in b"xgXLK" and info.size > _HEADER_BYTES:
                raise DataError(f"{path.name} has a header of {info.size:,} bytes for one name")
            return info

    try:
        with (
            gzip.open(path) if packed else open(path, "rb") as file,
            tarfile.open(fileobj=file, mode="r|", tarinfo=Member) as archive,
        ):
            _read_members(archive, path, prefix, contents, limits, packed)
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read as a tar archive ({error})") from None
    if not ended[0]:
        raise DataError(f"{path} ends early or is damaged inside: its end mark is missing; get it again")


def _read_members(
    archive: tarfile.TarFile, path: Path, prefix: str, contents: _Contents, limits: Limits, packed: bool
) -> None:
    total = 0
    for member in archive:
        name = member.name
        suffix = posixpath.splitext(name)[1].lower()
        total += member.size
        if total > limits.total_bytes:
            raise DataError(f"{path} unpacks to more than the limit of {limits.total_bytes:,} bytes")
        if member.isdir() or posixpath.basename(name).startswith("."):
            continue
        reason = _refusal(member, suffix, limits)
        if reason:
            contents.skipped.append((prefix + name, reason))
            continue
        key = prefix + posixpath.normpath(name)
        if suffix in _LABEL_SUFFIXES:
            label = _label(archive.extractfile(member).read(), suffix)
            if label is not None:
                contents.labels[_key(key)] = label
        elif key in contents.images:
            contents.skipped.append((key, "a second member of that name"))
        elif packed:
            contents.images[key] = f"{path}#{name}", partial(io.BytesIO, archive.extractfile(member).read())
        else:
            contents.images[key] = f"{path}#{name}", partial(_slice, path, member.offset_data, member.size)


def _refusal(member: tarfile.TarInfo, suffix: str, limits: Limits) -> str | None:
    if not member.isreg() or member.issparse():
        return "not a regular file"
    if member.name.startswith("/") or ".." in member.name.split("/"):
        return "its name leads out of the archive"
    if suffix not in SUFFIXES and suffix not in _LABEL_SUFFIXES:
        return "a kind of file that is not read"
    if member.size > limits.member_bytes:
        return f"{member.size:,} bytes, more than the limit of {limits.member_bytes:,}"
    return None


def _slice(path: Path, offset: int, size: int) -> BinaryIO:
    with open(path, "rb") as file:
        file.seek(offset)
        return io.BytesIO(file.read(size))


def _label(data: bytes, suffix: str) -> str | None:
    """The class name in a .cls or .json member, or None where it has none."""
    text = data.decode("utf-8", "replace").strip()
    if suffix == ".cls":
        return text or None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    found = next((value[key] for key in _LABEL_KEYS if isinstance(value.get(key), str | int)), None)
    return None if found is None else str(found)
