"""Arrays in memory, .npy and .npz: every usual shape and type, and nothing that could run code."""

import numpy as np
import pytest
from support.images import picture

from fastgan.data import Limits, load
from fastgan.data.arrays import to_images, to_label_names
from fastgan.errors import DataError


def _pictures(count: int = 20, channels: int = 3) -> np.ndarray:
    return np.stack([picture(seed, 8, 8, channels) for seed in range(count)])


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_layouts(channels):
    array = np.random.default_rng(0).integers(0, 256, (5, 8, 6, channels), np.uint8)
    assert np.array_equal(to_images(array, "x"), array)
    assert np.array_equal(to_images(array.transpose(0, 3, 1, 2), "x"), array)
    assert np.array_equal(to_images(array[..., 0], "x"), array[..., :1])


def test_types():
    levels = np.arange(256).reshape(1, 16, 16)
    expected = levels.astype(np.uint8)[..., None]
    for array in (levels, levels.astype(np.int16), levels / 255, (levels / 255).astype(np.float32)):
        assert np.array_equal(to_images(array, "x"), expected)
    assert np.array_equal(to_images((levels * 257).astype(np.uint16), "x"), expected)
    assert to_images(np.array([[[True, False]]]), "x").ravel().tolist() == [255, 0]


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((4, 4), np.uint8), r"x must be \[N, H, W\].*got \[4, 4\]"),
        (np.zeros((4, 5, 4, 2), np.uint8), "C in 1, 3, 4"),
        (np.zeros((2, 4, 4, 4, 4), np.uint8), "must be"),
        (np.zeros((0, 4, 4), np.uint8), "holds no image"),
        (np.zeros((2, 0, 4), np.uint8), "must be"),
        (np.full((2, 4, 4), 256), r"must lie in 0\.\.255, got 256\.\.256"),
        (np.full((2, 4, 4), -0.5), r"must lie in 0\.\.1, got -0\.5"),
        (np.full((2, 4, 4), np.nan), "must lie in"),
        (np.full((2, 4, 4), "a"), "must hold numbers"),
        (np.zeros((2, 4, 4), complex), "must hold numbers"),
    ],
)
def test_refused_arrays(array, words):
    with pytest.raises(DataError, match=words):
        to_images(array, "x")


def test_labels_become_names_in_their_own_order():
    assert to_label_names(np.array([2, 10, 0]), 3, "y") == ["02", "10", "00"]
    assert to_label_names(np.array([[2], [1]]), 2, "y") == ["2", "1"]
    assert to_label_names(np.array(["käse", "brot"]), 2, "y") == ["käse", "brot"]
    assert to_label_names(np.array([b"a", b"b"]), 2, "y") == ["a", "b"]


@pytest.mark.parametrize("labels", [np.zeros(3, int), np.zeros((2, 2), int), np.array([0.5, 1]), np.array([-1, 0])])
def test_refused_labels(labels):
    with pytest.raises(DataError, match="y must be"):
        to_label_names(labels, 2, "y")


def test_load_array_keeps_order():
    images = load(_pictures())
    assert np.array_equal(images.images, _pictures())
    assert images.labels is None and images.classes == () and images.name == "array"


def test_load_array_with_labels():
    images = load((_pictures(), np.arange(20) % 11))
    assert images.classes == tuple(f"{i:02d}" for i in range(11))
    assert images.labels.tolist() == (np.arange(20) % 11).tolist()
    assert load((_pictures(), np.zeros(20, int))).labels is None


@pytest.mark.parametrize("source", [(np.zeros((1, 4, 4)),), 5, None, [1, 2]])
def test_load_refuses_other_things(source):
    with pytest.raises(TypeError, match="load: source must be"):
        load(source)


@pytest.mark.parametrize(("x", "y"), [("images", "labels"), ("x", "y"), ("data", "target"), ("X", "Y")])
def test_npz(tmp_path, x, y):
    np.savez_compressed(tmp_path / "a.npz", **{x: _pictures(), y: np.arange(20) % 2})
    images = load(tmp_path / "a.npz")
    assert np.array_equal(images.images, _pictures())
    assert images.classes == ("0", "1")


@pytest.mark.parametrize("form", ["{0}_{1}", "{1}_{0}"])
def test_npz_with_official_splits(tmp_path, form):
    arrays = {form.format("x", "train"): _pictures(40), form.format("x", "test"): _pictures(50)[40:]}
    arrays |= {form.format("y", "train"): np.arange(40) % 2, form.format("y", "test"): np.arange(10) % 2}
    np.savez(tmp_path / "a.npz", **arrays)
    images = load(tmp_path / "a.npz")
    assert images.counts()["test"] == 10 and len(images) == 50
    assert np.array_equal(images.split("test").images, _pictures(50)[40:])


def test_npy_with_labels_beside_it(tmp_path):
    np.save(tmp_path / "images.npy", _pictures())
    assert load(tmp_path / "images.npy").labels is None
    np.save(tmp_path / "labels.npy", np.arange(20) % 2)
    assert load(tmp_path / "images.npy").classes == ("0", "1")


class _Marker:
    def __reduce__(self):
        return (open, ("unpickled", "w"))


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_pickles_are_refused_and_not_run(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    objects = np.array([_Marker()], dtype=object)
    np.save("a.npy", objects, allow_pickle=True) if name == "a.npy" else np.savez("a.npz", images=objects)
    with pytest.raises(DataError, match="pickled Python objects, which are never loaded"):
        load(tmp_path / name)
    assert not (tmp_path / "unpickled").exists()


@pytest.mark.parametrize("keep", [0, 10, 100, -10])
@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_cut_files(tmp_path, name, keep):
    (np.save if name == "a.npy" else np.savez)(tmp_path / name, _pictures())
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[:keep])
    with pytest.raises(DataError, match=r"a\.np[yz] is not a whole NumPy file") as caught:
        load(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_header_that_promises_more_than_there_is(tmp_path):
    """A few bytes that state terabytes must be refused before the memory is asked for."""
    np.save(tmp_path / "a.npy", np.zeros((2, 4, 4), np.uint8))
    data = (tmp_path / "a.npy").read_bytes()
    big = data.replace(b"(2, 4, 4), }" + b" " * 12, b"(2000000000, 4, 4), }   ")
    assert len(big) == len(data) and big != data
    (tmp_path / "a.npy").write_bytes(big)
    with pytest.raises(DataError, match="not a whole NumPy file"):
        load(tmp_path / "a.npy")
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("images.npy", big)
    with pytest.raises(DataError, match="images.npy states 32,000,000,000 bytes"):
        load(tmp_path / "a.npz")


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_limit(tmp_path, name):
    (np.save if name == "a.npy" else np.savez)(tmp_path / name, _pictures())
    with pytest.raises(DataError, match="more than the limit of 1,000"):
        load(tmp_path / name, limits=Limits(total_bytes=1000))


def test_npz_without_images(tmp_path):
    np.savez(tmp_path / "a.npz", weights=np.zeros(3), bias=np.zeros(3))
    with pytest.raises(DataError, match="has the arrays weights, bias; name the images `images`"):
        load(tmp_path / "a.npz")


def test_labels_of_another_length(tmp_path):
    np.savez(tmp_path / "a.npz", images=_pictures(), labels=np.zeros(19, int))
    with pytest.raises(DataError, match=r"a\.npz: labels must be \[20\], one for each image, got \[19\]"):
        load(tmp_path / "a.npz")
