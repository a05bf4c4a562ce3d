"""`fetch`: the real files by real roads; whatever arrives is checked before it is kept."""

import functools
import hashlib
import http.server
import shutil
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from fastgan.data import fashion_mnist, fetch, load
from fastgan.data.fetch import from_package_client, own_lists
from fastgan.errors import DataError

fetching = sys.modules[fetch.__module__]  # the package has a function of the module's name

# When upstream packed each file: with its name and this time the packed bytes are upstream's, whoever packed
# them again.
_PACKED_AT = {
    "train": 1504176606,
    "t10k-images-idx3-ubyte.gz": 1504176627,
    "t10k-labels-idx1-ubyte.gz": 1504176627,
}


@pytest.fixture(scope="session")
def fashion(tmp_path_factory, need) -> Path:
    """Fashion-MNIST by whichever road works here; without one the tests that need the files are skipped."""
    try:
        return fetch("fashion-mnist", tmp_path_factory.mktemp("fetched"))
    except DataError as error:
        need(str(error), "fashion-mnist")


def test_fetched_files_have_the_content(fashion):
    for name in fashion_mnist.FILES:
        fashion_mnist.check_content(fashion / name, name)
    assert "Zalando SE" in (fashion / "LICENSE").read_text(encoding="utf-8")


def test_a_second_fetch_touches_nothing(fashion, monkeypatch):
    monkeypatch.setattr(fetching, "ROADS", ())
    before = {p.name: p.stat().st_mtime_ns for p in fashion.iterdir()}
    assert fetch("fashion-mnist", fashion.parent) == fashion
    assert {p.name: p.stat().st_mtime_ns for p in fashion.iterdir()} == before


def test_load_by_name(fashion, monkeypatch):
    monkeypatch.setenv("FASTGAN_DATA", str(fashion.parent))
    images = load("fashion-mnist")
    assert images.images.shape == (70_000, 28, 28, 1)
    assert images.classes == fashion_mnist.CLASSES
    assert images.counts() == {"train": 55_055, "val": 4_945, "test": 10_000}
    assert [row["test"] for row in images.class_counts().values()] == [1_000] * 10
    assert images.describe()["sha256"] == "60fa4442766f275dd03ad4505e52176f7f5c8bcef298f3eb5a9afe73993a00d4"
    train = images.split("train")
    assert images.classes[train.labels[0]] == "9-Ankle-boot"  # the first official training image


def test_installed_package(fashion, tmp_path, monkeypatch):
    monkeypatch.setattr(fashion_mnist, "PACKAGE_FOLDER", fashion)
    monkeypatch.setattr(fetching, "ROADS", fetching.ROADS[:1])
    assert fashion_mnist.complete(fetch("fashion-mnist", tmp_path))


@pytest.mark.parametrize("damage", ["cut", "flip", "other", "missing"])
def test_damaged_files_are_never_kept(fashion, tmp_path, monkeypatch, damage):
    source = Path(shutil.copytree(fashion, tmp_path / "package"))
    victim = source / "t10k-labels-idx1-ubyte.gz"
    data = victim.read_bytes()
    if damage == "missing":
        (source / "LICENSE").unlink()
        victim.unlink()
    else:
        other = (source / "t10k-images-idx3-ubyte.gz").read_bytes()
        flipped = data[:2000] + bytes([data[2000] ^ 1]) + data[2001:]
        victim.write_bytes({"cut": data[:-9], "flip": flipped, "other": other}[damage])
    monkeypatch.setattr(fashion_mnist, "PACKAGE_FOLDER", source)
    monkeypatch.setattr(fetching, "ROADS", fetching.ROADS[:1])
    with pytest.raises(DataError, match=r"fashion-mnist cannot be had here \(installed package: .*\)$"):
        fetch("fashion-mnist", tmp_path / "root")
    assert not list((tmp_path / "root").rglob("*.gz"))


@pytest.mark.skipif(not shutil.which("apt-get"), reason="this machine has no apt-get")
def test_package_client_leaves_the_system_alone(tmp_path, need):
    installed = fashion_mnist.PACKAGE_FOLDER.exists()
    try:
        folder = from_package_client(tmp_path, None)
    except DataError as error:
        need(str(error), "fashion-mnist")
    assert fashion_mnist.complete(folder) and (folder / "copyright").is_file()
    assert tmp_path in folder.parents
    assert fashion_mnist.PACKAGE_FOLDER.exists() == installed


@pytest.mark.skipif(not shutil.which("apt-config"), reason="this machine has no apt")
def test_own_lists_are_what_apt_uses(tmp_path):
    command = ["apt-config", "dump", *own_lists(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    said = said.replace("Dir::State::lists", "Dir::State::Lists")
    assert f'Dir::State::Lists "{tmp_path / "lists"}";' in said
    assert f'Dir::Cache "{tmp_path / "cache"}";' in said
    assert (tmp_path / "lists" / "partial").is_dir()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def upstream(tmp_path, monkeypatch):
    """A real server on the loopback in place of the upstream address; yields the folder it serves."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(fashion_mnist, "UPSTREAM", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setattr(fetching, "ROADS", fetching.ROADS[2:])
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield folder
    server.shutdown()
    server.server_close()


def test_upstream(fashion, upstream, tmp_path):
    for name, file in fashion_mnist.FILES.items():
        data = (fashion / name).read_bytes()
        if not data[3]:  # packed again without the name: give the name and the time back
            time = _PACKED_AT.get(name, _PACKED_AT["train"])
            data = b"\x1f\x8b\x08\x08" + struct.pack("<I", time) + b"\0\3" + name[:-3].encode() + b"\0" + data[10:]
        assert hashlib.sha256(data).hexdigest() == file.upstream_sha256
        (upstream / name).write_bytes(data)
    seen = []
    folder = fetch("fashion-mnist", tmp_path / "root", lambda *report: seen.append(report))
    assert fashion_mnist.complete(folder)
    sizes = [(upstream / name).stat().st_size for name in fashion_mnist.FILES]
    assert [done for done, total, _ in seen if done == total] == sizes


def test_upstream_with_other_content(upstream, tmp_path):
    for name in fashion_mnist.FILES:
        (upstream / name).write_bytes(b"not what was published")
    with pytest.raises(DataError, match="gave a file with the wrong SHA-256"):
        fetch("fashion-mnist", tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_no_road_gives_every_reason_in_one_sentence(upstream, tmp_path, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(fashion_mnist, "PACKAGE_FOLDER", tmp_path / "nowhere")
    monkeypatch.setattr(fashion_mnist, "UPSTREAM", "http://127.0.0.1:9/")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(DataError) as caught:
        fetch("fashion-mnist", tmp_path / "root")
    text = str(caught.value)
    assert "installed package: the package dataset-fashion-mnist is not installed" in text
    assert "package client: there is no apt-get or no dpkg-deb" in text
    assert "upstream address: http://127.0.0.1:9/train-images-idx3-ubyte.gz gave no file (" in text
    assert "\n" not in text


def test_missing_upstream_file(upstream, tmp_path):
    with pytest.raises(DataError, match=r"gave no file \(.*(Not Found|not found)"):
        fetch("fashion-mnist", tmp_path / "root")


def test_digits_are_always_there():
    assert np.loadtxt(fetch("digits"), delimiter=",").shape == (1797, 65)


def test_unknown_name(tmp_path):
    with pytest.raises(ValueError, match="fetch: name must be digits or fashion-mnist, got 'cifar'"):
        fetch("cifar", tmp_path)
