"""Readers of NumPy arrays: in memory, .npy and .npz; nothing is ever unpickled."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from fastgan.data.limits import Limits
from fastgan.data.sample import Entry, Source
from fastgan.errors import DataError

_IMAGE_KEYS = ("images", "image", "x", "data", "imgs", "arr_0")
_LABEL_KEYS = ("labels", "label", "y", "targets", "target", "arr_1")
_SPLIT_WORDS = {"train": "train", "val": "val", "valid": "val", "test": "test"}


def to_images(array: np.ndarray, name: str) -> np.ndarray:
    """Bring any usual image array to uint8 [N, H, W, C], C in {1, 3, 4}.

    Args:
        array: [N, H, W], [N, H, W, C] or [N, C, H, W]. uint8 as it is; bool 0/1 to 0/255; uint16 scaled by
            1/257; other integers must lie in 0..255; floats must be finite and lie in [0, 1].
        name: what to call the array in an error.

    Raises DataError, one sentence, for any other shape, type or range.
    """
    if array.ndim == 3:
        array = array[..., None]
    elif array.ndim == 4 and array.shape[3] not in (1, 3, 4) and array.shape[1] in (1, 3, 4):
        array = array.transpose(0, 2, 3, 1)
    if array.ndim != 4 or array.shape[3] not in (1, 3, 4) or 0 in array.shape[1:]:
        raise DataError(
            f"{name} must be [N, H, W], [N, H, W, C] or [N, C, H, W] with C in 1, 3, 4, got {list(array.shape)}"
        )
    if array.shape[0] == 0:
        raise DataError(f"{name} holds no image: its shape is {list(array.shape)}")
    return _to_uint8(array, name)


def _to_uint8(array: np.ndarray, name: str) -> np.ndarray:
    kind = array.dtype.kind
    if array.dtype == np.uint8:
        return array
    if kind == "b":
        return array.astype(np.uint8) * 255
    if array.dtype == np.uint16:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if kind not in "iuf":
        raise DataError(f"{name} must hold numbers (uint8 is best), got dtype {array.dtype}")
    low, high = array.min(), array.max()
    top = 1 if kind == "f" else 255
    if not (low >= 0 and high <= top):
        raise DataError(
            f"{name} of dtype {array.dtype} must lie in 0..{top}, got {low:g}..{high:g}; store uint8 pixels instead"
        )
    return np.rint(array * 255.0).astype(np.uint8) if kind == "f" else array.astype(np.uint8)


def to_label_names(labels: np.ndarray, count: int, name: str) -> list[str]:
    """Labels as class names whose sorted order is the order of the labels (numbers are padded: "03", "12").

    Args:
        labels: [count] or [count, 1], integers >= 0 or text.
        count: number of images they belong to.
        name: what to call the array in an error.

    Raises DataError for any other shape or type.
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.shape != (count,):
        raise DataError(f"{name} must be [{count}], one for each image, got {list(labels.shape)}")
    if labels.dtype.kind == "U":
        return labels.tolist()
    if labels.dtype.kind == "S":
        return [value.decode("utf-8", "replace") for value in labels.tolist()]
    if labels.dtype.kind not in "iu" or labels.min() < 0:
        raise DataError(f"{name} must be whole numbers from 0 or text, got dtype {labels.dtype}")
    width = len(str(labels.max()))
    return [f"{value:0{width}d}" for value in labels.tolist()]


def array_source(
    name: str, parts: dict[str | None, tuple[np.ndarray, np.ndarray | None]], where: str = "array"
) -> Source:
    """A source of arrays.

    Args:
        name: the source's name.
        parts: by official split (None where there is none): images as `to_images` takes them, and labels or
            None.
        where: what to call the arrays in errors and in each entry's provenance.
    """
    entries: list[Entry] = []
    labelled = [labels is not None for _, labels in parts.values()]
    if any(labelled) and not all(labelled):
        raise DataError(f"{where} has labels for some of its parts ({', '.join(map(str, parts))}) and not for others")
    # One call for all parts, so that numbers are padded to one width.
    images = {split: to_images(np.asarray(x), f"{where}: images") for split, (x, _) in parts.items()}
    names: list[str | None] = [None] * sum(map(len, images.values()))
    if all(labelled):
        columns = [np.asarray(y) for _, y in parts.values()]
        columns = [y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y for y in columns]
        for y, x in zip(columns, images.values(), strict=True):
            to_label_names(y, len(x), f"{where}: labels")
        names = list(to_label_names(np.concatenate(columns), len(names), f"{where}: labels"))
    for split, x in images.items():
        for i in range(len(x)):
            key = f"{i:08d}" if split is None else f"{split}/{i:08d}"
            entries.append(Entry(key, names[len(entries)], split, f"{where}#{key}", array=x[i]))
    return Source(name, entries)


def open_npy(path: Path, limits: Limits) -> Source:
    """Read a .npy; labels come from a neighbour whose name has "labels" for "images", if there is one."""
    neighbour = path.with_name(path.name.replace("images", "labels"))
    labels = _load_npy(neighbour, limits) if neighbour != path and neighbour.is_file() else None
    return array_source(str(path), {None: (_load_npy(path, limits), labels)}, path.name)


def _load_npy(path: Path, limits: Limits) -> np.ndarray:
    """Memory-mapped: a header that promises more than the file holds is found before any memory is taken."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError, SyntaxError, TypeError) as error:
        raise _unreadable(path.name, error) from None
    if array.nbytes > limits.total_bytes:
        raise DataError(f"{path.name} holds {array.nbytes:,} bytes, more than the limit of {limits.total_bytes:,}")
    return array


def _unreadable(name: str, error: Exception) -> DataError:
    if "allow_pickle" in str(error) or "Python objects" in str(error):  # NumPy has no type for it
        return DataError(f"{name} holds pickled Python objects, which are never loaded; save plain numeric arrays")
    return DataError(f"{name} is not a whole NumPy file ({str(error).splitlines()[0] if str(error) else 'empty'})")


def open_npz(path: Path, limits: Limits) -> Source:
    """Read an .npz: `images`, `x` or `data`, `labels` or `y`; with `_train`, `_val`, `_test` as splits."""
    try:
        with zipfile.ZipFile(path) as archive:
            _check_npz(archive, path.name, limits)
        with np.load(path, allow_pickle=False) as arrays:
            return array_source(str(path), _npz_parts(arrays, path.name), path.name)
    except DataError:
        raise
    except (
        ValueError,
        OSError,
        EOFError,
        SyntaxError,
        TypeError,
        MemoryError,
        zlib.error,
        zipfile.BadZipFile,
    ) as error:
        raise _unreadable(path.name, error) from None


def _check_npz(archive: zipfile.ZipFile, name: str, limits: Limits) -> None:
    """Refuse by the sizes that the archive and each array's own header state, before anything is unpacked."""
    total = sum(info.file_size for info in archive.infolist())
    if total > limits.total_bytes:
        raise DataError(f"{name} unpacks to {total:,} bytes, more than the limit of {limits.total_bytes:,}")
    for info in archive.infolist():
        if not info.filename.endswith(".npy"):
            continue
        with archive.open(info) as member:
            version = np.lib.format.read_magic(member)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(member)
            stated = dtype.itemsize * int(np.prod(shape, dtype=object))
            if not dtype.hasobject and stated != info.file_size - member.tell():
                raise DataError(f"{name}: {info.filename} states {stated:,} bytes and holds another number")


def _npz_parts(arrays: Any, name: str) -> dict[str | None, tuple[np.ndarray, np.ndarray | None]]:
    keys = {key.lower(): key for key in arrays.files}
    found: dict[str | None, tuple[np.ndarray, np.ndarray | None]] = {}
    for word, split in ((None, None), *_SPLIT_WORDS.items()):
        x, y = (_find(keys, names, word) for names in (_IMAGE_KEYS, _LABEL_KEYS))
        if x is not None and split not in found:
            found[split] = (arrays[x], None if y is None else arrays[y])
    if len(found) > 1:
        found.pop(None, None)
    if not found:
        raise DataError(
            f"{name} has the arrays {', '.join(arrays.files) or 'none'}; "
            "name the images `images` and the labels `labels`"
        )
    return found


def _find(keys: dict[str, str], names: tuple[str, ...], word: str | None) -> str | None:
    for name in names:
        for candidate in (name,) if word is None else (f"{name}_{word}", f"{word}_{name}"):
            if candidate in keys:
                return keys[candidate]
    return None
