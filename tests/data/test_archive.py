"""Tar archives: read without ever writing, hostile members named and skipped, cut archives refused."""

import gzip
import io
import json
import os
import tarfile

import numpy as np
import pytest
from PIL import Image
from support.images import picture

from fastgan.data import Limits, load
from fastgan.errors import DataError


def _png(seed: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture(seed)).save(file, "PNG")
    return file.getvalue()


def _tar(path, members, mode="w"):
    """Members are (name, bytes) or ready TarInfo objects."""
    with tarfile.open(path, mode) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            archive.addfile(info, io.BytesIO(member[1]))
    return path


def _classes():
    return [(f"{name}/{i}.png", _png(10 * j + i)) for j, name in enumerate(("b", "a")) for i in range(6)]


@pytest.mark.parametrize(("name", "mode"), [("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tgz", "w:gz")])
def test_class_folders(tmp_path, name, mode):
    images = load(_tar(tmp_path / name, _classes(), mode))
    assert images.classes == ("a", "b") and np.bincount(images.labels).tolist() == [6, 6]
    assert np.array_equal(images.images[0], picture(10))  # a/0.png
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("suffix", [".cls", ".json"])
def test_webdataset(tmp_path, suffix):
    members = []
    for i in range(12):
        label = str(i % 11).encode() if suffix == ".cls" else json.dumps({"label": i % 11}).encode()
        members += [(f"{i:04d}.png", _png(i)), (f"{i:04d}{suffix}", label)]
    images = load(_tar(tmp_path / "a.tar", members))
    assert images.classes == tuple(f"{i:02d}" for i in range(11))
    assert images.labels.tolist() == [i % 11 for i in range(12)]
    assert images.skipped == []


def test_webdataset_without_a_label(tmp_path):
    members = [("a.png", _png(0)), ("a.cls", b"x"), ("b.png", _png(1)), ("b.cls", b"y"), ("c.png", _png(2))]
    images = load(_tar(tmp_path / "a.tar", members))
    assert len(images) == 2 and images.skipped == [("c.png", "has no label beside it, as others do")]


def test_folder_of_shards(tmp_path):
    for shard in range(2):
        members = [m for i in range(3) for m in ((f"{i}.png", _png(3 * shard + i)), (f"{i}.cls", str(i).encode()))]
        _tar(tmp_path / f"shard-{shard}.tar", members)
    images = load(tmp_path)
    assert len(images) == 6 and images.labels.tolist() == [0, 1, 2, 0, 1, 2]


def test_hostile_members_are_named_and_nothing_is_written(tmp_path):
    link, hard, device, fifo = (tarfile.TarInfo(f"a/{name}.png") for name in ("link", "hard", "device", "fifo"))
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    hard.type, hard.linkname = tarfile.LNKTYPE, "../../secret"
    device.type, fifo.type = tarfile.CHRTYPE, tarfile.FIFOTYPE
    outside = [("/tmp/absolute.png", _png(90)), ("../up.png", _png(91)), ("a/../../up.png", _png(92))]
    (tmp_path / "in").mkdir()
    members = [*_classes(), link, hard, device, fifo, *outside, ("a/run.py", b"boom")]
    images = load(_tar(tmp_path / "in" / "a.tar", members))
    assert len(images) == 12
    reasons = dict(images.skipped)
    assert len(reasons) == 8
    assert {reasons[f"a/{n}.png"] for n in ("link", "hard", "device", "fifo")} == {"not a regular file"}
    assert {reasons[name] for name, _ in outside} == {"its name leads out of the archive"}
    assert reasons["a/run.py"] == "a kind of file that is not read"
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.tar", "in"]


@pytest.mark.parametrize("packed", [False, True])
def test_a_cut_archive_is_refused_wherever_it_is_cut(tmp_path, packed):
    """tarfile itself takes an archive that is cut between two members for a whole one."""
    whole = _tar(tmp_path / "whole.tar", _classes()).read_bytes()
    with tarfile.open(tmp_path / "whole.tar") as archive:
        starts = [member.offset for member in archive]
    for cut in (0, 100, 512, starts[3], starts[3] + 256, starts[3] + 512, starts[3] + 600):
        path = tmp_path / ("cut.tar.gz" if packed else "cut.tar")
        path.write_bytes(gzip.compress(whole[:cut]) if packed else whole[:cut])
        with pytest.raises(DataError, match=r"cut\.tar.*(cannot be read as a tar archive|ends early)"):
            load(path)


def test_a_damaged_header_is_refused(tmp_path):
    path = _tar(tmp_path / "a.tar", _classes())
    with tarfile.open(path) as archive:
        start = archive.getmembers()[4].offset
    data = bytearray(path.read_bytes())
    data[start + 5] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="ends early or is damaged inside"):
        load(path)


def test_cut_gzip(tmp_path):
    path = _tar(tmp_path / "a.tar.gz", _classes(), "w:gz")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="cannot be read as a tar archive"):
        load(path)


def test_limits(tmp_path):
    big = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(big).save(file, "PNG")
    path = _tar(tmp_path / "a.tar", [*_classes(), ("a/big.png", file.getvalue())])
    images = load(path, limits=Limits(member_bytes=10_000))
    assert [name for name, _ in images.skipped] == ["a/big.png"]
    with pytest.raises(DataError, match="unpacks to more than the limit of 5,000 bytes"):
        load(path, limits=Limits(total_bytes=5_000))


def test_a_giant_name_is_refused_before_it_is_read(tmp_path):
    """A gzipped PAX header of gigabytes costs kilobytes to send."""
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 1 << 33
    with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
        file.write(header.tobuf(tarfile.GNU_FORMAT))
        for _ in range(64):
            file.write(bytes(1 << 20))
    with pytest.raises(DataError, match=r"has a header of 8,589,934,592 bytes for one name"):
        load(tmp_path / "a.tar.gz")


def test_no_images(tmp_path):
    with pytest.raises(DataError, match="holds no PNG, JPEG or WebP image"):
        load(_tar(tmp_path / "a.tar", [("a.txt", b"x")]))


def test_broken_image_inside(tmp_path):
    images = load(_tar(tmp_path / "a.tar", [*_classes(), ("a/bad.png", b"no image, no image")]))
    assert images.skipped == [("a/bad.png", "not a PNG, JPEG or WebP image")]


def test_repeated_member(tmp_path):
    images = load(_tar(tmp_path / "a.tar", [*_classes(), ("a/0.png", _png(77))]))
    assert len(images) == 12 and images.skipped == [("a/0.png", "a second member of that name")]
