"""IDX: what is written is read, what is broken is refused, pairs and splits are found by their names."""

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from support.images import picture

from fastgan.data import Limits, load
from fastgan.data.idx import read_idx, write_idx
from fastgan.errors import DataError

_DTYPES = ("uint8", "int8", "int16", "int32", "float32", "float64")


@settings(max_examples=40)  # every example is a file flushed to the disk
@given(array=hnp.arrays(st.sampled_from(_DTYPES), hnp.array_shapes(max_dims=5, min_side=0)), packed=st.booleans())
def test_round_trip(tmp_path_factory, array, packed):
    path = tmp_path_factory.mktemp("idx") / ("a.idx.gz" if packed else "a.idx")
    write_idx(path, array)
    got = read_idx(path)
    assert got.dtype == array.dtype and got.shape == array.shape
    assert got.tobytes() == array.tobytes()


def test_bytes_are_the_format(tmp_path):
    write_idx(tmp_path / "a", np.array([[1, -2]], np.int16))
    assert (tmp_path / "a").read_bytes() == bytes([0, 0, 0x0B, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 1, 0xFF, 0xFE])


@pytest.mark.parametrize("array", [np.zeros(2, np.int64), np.zeros(2, bool), np.uint8(3)])
def test_write_refuses_what_idx_lacks(tmp_path, array):
    with pytest.raises(ValueError, match="write_idx: array must be"):
        write_idx(tmp_path / "a", np.asarray(array))


def _save(folder, prefix="train", count=30, end=".gz", labels=True):
    write_idx(
        folder / f"{prefix}-images-idx3-ubyte{end}",
        np.stack([picture(s, 8, 8, 1)[..., 0] for s in range(count)]),
    )
    if labels:
        write_idx(folder / f"{prefix}-labels-idx1-ubyte{end}", (np.arange(count) % 3).astype(np.uint8))


@pytest.mark.parametrize("end", ["", ".gz"])
def test_pair(tmp_path, end):
    _save(tmp_path, "train", end=end)
    for source in (tmp_path, tmp_path / f"train-images-idx3-ubyte{end}"):
        images = load(source)
        assert len(images) == 30 and images.classes == ("0", "1", "2") and images.transform.channels == 1
        assert images.counts()["test"] > 0  # one file is no official split


def test_folder_with_official_test_set(tmp_path):
    _save(tmp_path, "train", 60)
    _save(tmp_path, "t10k", 10)
    images = load(tmp_path)
    assert images.counts()["test"] == 10
    assert images.dropped == 10  # the same pictures begin both files
    assert len(images) == 60


def test_images_alone_are_unlabelled(tmp_path):
    _save(tmp_path, labels=False)
    assert load(tmp_path / "train-images-idx3-ubyte.gz").labels is None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "first bytes are missing"),
        (b"\x89PNG", "first bytes are 89 50 4e 47"),
        (b"\0\0\x08\x00", "not an IDX file"),
        (b"\0\0\x08\x03\0\0", "ends inside its header"),
        (b"\0\0\x08\x01\0\0\0\x05abcd", "must hold 5 bytes"),
        (b"\0\0\x08\x01\0\0\0\x05abcdef", "must hold 5 bytes"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "more than the limit"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_broken(tmp_path, data, words, packed):
    path = tmp_path / ("a-ubyte.gz" if packed else "a-ubyte")
    path.write_bytes(gzip.compress(data) if packed else data)
    with pytest.raises(DataError, match=words):
        load(path)


def test_cut_gzip(tmp_path):
    _save(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="cannot be read as IDX"):
        load(path)


def test_limit(tmp_path):
    _save(tmp_path)
    with pytest.raises(DataError, match="states 1,920 bytes, more than the limit of 1,919"):
        load(tmp_path, limits=Limits(total_bytes=1919))
