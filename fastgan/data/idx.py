"""The IDX format of MNIST and its relatives, plain or gzipped, read and written."""

import gzip
import zlib
from pathlib import Path

import numpy as np

from fastgan.data.arrays import array_source
from fastgan.data.limits import DEFAULT_LIMITS, Limits
from fastgan.data.sample import Source
from fastgan.errors import DataError
from fastgan.files import write_bytes

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CODES = {np.dtype(text).newbyteorder("="): code for code, text in _DTYPES.items()}
_PREFIXES = {"train": "train", "val": "val", "valid": "val", "t10k": "test", "test": "test"}


def read_idx(path: Path, limits: Limits = DEFAULT_LIMITS) -> np.ndarray:
    """Read one IDX file (gzipped if its name ends in .gz) as an array in native byte order.

    The header says how many bytes follow: never more than that is unpacked. Raises DataError for a wrong
    magic number, a file that is shorter or longer than its header says, or one above `limits.total_bytes`.
    """
    name = Path(path).name
    try:
        with gzip.open(path) if name.endswith(".gz") else open(path, "rb") as file:
            return _read(file, name, limits)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{name} cannot be read as IDX ({error})") from None


def _read(file, name: str, limits: Limits) -> np.ndarray:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES or magic[3] == 0:
        raise DataError(f"{name} is not an IDX file: its first bytes are {magic.hex(' ') or 'missing'}")
    dimensions = file.read(4 * magic[3])
    if len(dimensions) < 4 * magic[3]:
        raise DataError(f"{name} ends inside its header")
    shape = tuple(int.from_bytes(dimensions[i : i + 4], "big") for i in range(0, len(dimensions), 4))
    dtype = np.dtype(_DTYPES[magic[2]])
    size = dtype.itemsize
    for length in shape:
        size *= length
    if size > limits.total_bytes:
        raise DataError(f"{name} states {size:,} bytes, more than the limit of {limits.total_bytes:,}")
    data = file.read(size)
    if len(data) < size or file.read(1):
        raise DataError(f"{name} must hold {size:,} bytes of data as its header says, got another number")
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def write_idx(path: Path, array: np.ndarray) -> None:
    """Write an array of 1 to 255 dimensions as IDX, gzipped without a time stamp if `path` ends in .gz; whole
    or not at all.

    Raises ValueError for a dtype that IDX does not have (it has uint8, int8, int16, int32, float32, float64).
    """
    code = _CODES.get(array.dtype)
    if code is None or not 1 <= array.ndim <= 255:
        raise ValueError(f"write_idx: array must be an IDX dtype with 1 to 255 dimensions, got {array.dtype}")
    header = bytes([0, 0, code, array.ndim]) + np.asarray(array.shape, ">u4").tobytes()
    data = header + array.astype(_DTYPES[code]).tobytes()
    write_bytes(Path(path), gzip.compress(data, mtime=0) if Path(path).name.endswith(".gz") else data)


def is_idx(path: Path) -> bool:
    """Whether `path` is an IDX file by name, or a folder that holds IDX image files by name."""
    if path.is_dir():
        return bool(_image_files(path))
    return "-ubyte" in path.name or path.name.endswith((".idx", ".idx.gz"))


def _image_files(folder: Path) -> list[Path]:
    names = ("*images-idx3-ubyte", "*images-idx3-ubyte.gz", "*images.idx3-ubyte", "*images.idx3-ubyte.gz")
    return sorted(path for name in names for path in folder.glob(name))


def open_idx(path: Path, limits: Limits) -> Source:
    """Read IDX images with the labels beside them; in a folder train, val, t10k and test are splits."""
    files = _image_files(path) if path.is_dir() else [path]
    parts: dict[str | None, tuple[np.ndarray, np.ndarray | None]] = {}
    for file in files:
        split = next((s for prefix, s in _PREFIXES.items() if file.name.startswith(prefix)), None)
        split = split if len(files) > 1 else None
        if split in parts:
            raise DataError(
                f"{path} has more than one IDX image file for the split {split}: {file.name} is one of them"
            )
        labels = _labels_beside(file)
        parts[split] = (read_idx(file, limits), None if labels is None else read_idx(labels, limits))
    return array_source(str(path), parts, path.name)


def _labels_beside(images: Path) -> Path | None:
    """Fashion-MNIST's naming: images-idx3 becomes labels-idx1; either file may be gzipped."""
    plain = images.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
    for name in (plain, f"{plain}.gz"):
        if name != images.name and images.with_name(name).is_file():
            return images.with_name(name)
    return None
