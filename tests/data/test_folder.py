"""Folders as users have them: flat, by class, nested, with official splits, with things out of place."""

import os

import numpy as np
import pytest
from support.images import bomb_png, class_folder, picture, save

from fastgan.data import Limits, load, samples
from fastgan.errors import DataError


def test_class_folders(tmp_path):
    class_folder(tmp_path, {"dog": 12, "cat": 10})
    images = load(tmp_path)
    assert images.classes == ("cat", "dog")
    assert np.bincount(images.labels).tolist() == [10, 12]
    assert images.name == str(tmp_path)
    assert np.array_equal(images.images[0], picture(13))  # sorted: cat/000.png, the thirteenth that was drawn


@pytest.mark.parametrize("folder", ["", "only"])
def test_flat_folder_and_one_class_are_unlabelled(tmp_path, folder):
    for i in range(8):
        save(tmp_path / folder / f"{i}.png", picture(i))
    images = load(tmp_path)
    assert images.labels is None and images.classes == () and images.num_classes == 0 and len(images) == 8


def test_deeper_folders_belong_to_the_class(tmp_path):
    class_folder(tmp_path / "animals", {"cats": 3, "dogs": 3})
    class_folder(tmp_path / "plants", {"trees": 4})
    assert load(tmp_path).classes == ("animals", "plants")


def test_unicode_class_names_in_sorted_order(tmp_path):
    names = {"żaba": 2, "猫": 2, "Äpfel": 2, "zebra": 2, "a b'c": 2}
    class_folder(tmp_path, names)
    assert load(tmp_path).classes == tuple(sorted(names))


@pytest.mark.parametrize("val", ["val", "valid", "Validation"])
def test_official_splits(tmp_path, val):
    class_folder(tmp_path / "train", {"a": 20, "b": 20})
    for name, first in ((val, 100), ("test", 200)):
        for i in range(6):
            save(tmp_path / name / "ab"[i % 2] / f"{i}.png", picture(first + i))
    save(tmp_path / "train" / "a" / "leak.png", picture(200))
    images = load(tmp_path)
    assert images.counts() == {"train": 40, "val": 6, "test": 6}
    assert images.dropped == 1
    assert images.classes == ("a", "b")


def test_test_as_a_class_name_is_no_split(tmp_path):
    class_folder(tmp_path, {"test": 5, "exam": 5})
    assert load(tmp_path).classes == ("exam", "test")


def test_images_beside_class_folders_are_named(tmp_path):
    class_folder(tmp_path, {"a": 3, "b": 3})
    save(tmp_path / "logo.png", picture(99))
    images = load(tmp_path)
    assert len(images) == 6
    assert images.skipped == [("logo.png", "lies outside every class folder")]


def test_images_beside_official_splits_are_named(tmp_path):
    class_folder(tmp_path / "train", {"a": 9, "b": 9})
    save(tmp_path / "logo.png", picture(99))
    assert load(tmp_path).skipped == [("logo.png", "lies outside train, val and test")]


def test_broken_images_are_named_counted_and_skipped(tmp_path):
    class_folder(tmp_path, {"a": 6, "b": 6}, 32, 32)
    (tmp_path / "a" / "text.png").write_text("hello " * 10)
    whole = save(tmp_path / "b" / "cut.jpg", picture(50, 32, 32)).read_bytes()
    (tmp_path / "b" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    bomb_png(tmp_path / "a" / "bomb.png")
    (tmp_path / "a" / "notes.txt").write_text("x")
    (tmp_path / "b" / "old.bmp").write_text("x")
    (tmp_path / "a" / ".DS_Store").write_text("x")
    images = load(tmp_path)
    assert len(images) == 12
    reasons = dict(images.skipped)
    assert set(reasons) == {"a/text.png", "a/bomb.png", "b/cut.jpg", "*.txt", "*.bmp"}
    assert reasons["a/text.png"] == "not a PNG, JPEG or WebP image"
    assert reasons["a/bomb.png"].startswith("30,000 x 30,000 pixels")
    assert "runcated" in reasons["b/cut.jpg"]
    assert reasons["*.bmp"] == "1 file(s) of a kind that is not read"
    assert images.describe()["skipped"] == 5


def test_none_left(tmp_path):
    for name in ("b.png", "a.png"):
        (tmp_path / name).write_text("not an image at all")
    with pytest.raises(
        DataError,
        match=r"none of its 2 image\(s\) can be used; the first is a\.png: not a PNG, JPEG or WebP image$",
    ):
        load(tmp_path)


def test_none_left_after_decoding(tmp_path):
    data = save(tmp_path / "a.jpg", picture(1, 64, 64)).read_bytes()
    (tmp_path / "a.jpg").write_bytes(data[:-200])
    with pytest.raises(DataError, match=r"none of its 1 image\(s\) can be used; the first is a\.jpg: damaged JPEG"):
        load(tmp_path)


def test_missing_folder(tmp_path):
    with pytest.raises(DataError, match="gone does not exist; give a folder of images"):
        load(tmp_path / "gone")


def test_empty_folder(tmp_path):
    with pytest.raises(DataError, match="holds no PNG, JPEG or WebP image; give a folder of images"):
        load(tmp_path)
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "a.txt").touch()
    with pytest.raises(DataError, match=r"holds no PNG, JPEG or WebP image, only 1 file\(s\) of other kinds"):
        load(tmp_path)


def test_unknown_kind_of_file(tmp_path):
    (tmp_path / "a.csv").touch()
    with pytest.raises(
        DataError, match=r"a\.csv is not a kind of data set that is read; these are: .*a folder of images"
    ):
        load(tmp_path / "a.csv")


def test_linked_folders_are_read_once_and_loops_end(tmp_path):
    class_folder(tmp_path / "elsewhere", {"a": 3})
    (tmp_path / "set").mkdir()
    class_folder(tmp_path / "set", {"b": 3})
    (tmp_path / "set" / "a").symlink_to(tmp_path / "elsewhere" / "a", target_is_directory=True)
    (tmp_path / "set" / "b" / "loop").symlink_to(tmp_path / "set", target_is_directory=True)
    (tmp_path / "set" / "b" / "dead.png").symlink_to(tmp_path / "nowhere.png")
    images = load(tmp_path / "set")
    assert images.classes == ("a", "b") and len(images) == 6
    assert images.skipped == [("b/dead.png", "cannot be opened (No such file or directory)")]


def test_file_size_limit(tmp_path):
    save(tmp_path / "a.png", picture(1))
    big = save(tmp_path / "b.png", np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    limit = big.stat().st_size - 1
    assert load(tmp_path, limits=Limits(member_bytes=limit)).skipped == [
        ("b.png", f"{limit + 1:,} bytes, more than the limit of {limit:,}")
    ]


def test_samples_keep_natural_sizes(tmp_path):
    save(tmp_path / "a" / "x.png", picture(1, 5, 7))
    save(tmp_path / "b" / "y.webp", picture(2, 9, 4, 4), lossless=True, exact=True)
    (tmp_path / "b" / "z.png").write_text("broken, broken")
    first, second = samples(tmp_path)
    assert (first.key, first.label, first.image.shape) == ("a/x.png", "a", (5, 7, 3))
    assert (second.key, second.label, second.image.shape) == ("b/y.webp", "b", (9, 4, 4))
    assert second.provenance == str(tmp_path / "b" / "y.webp")
    assert np.array_equal(first.image, picture(1, 5, 7))


@pytest.mark.skipif(os.name != "posix", reason="file names of bytes exist on POSIX only")
def test_a_name_that_is_no_text_does_not_stop_the_rest(tmp_path):
    class_folder(tmp_path, {"a": 2, "b": 2})
    os.rename(os.fsencode(tmp_path / "a" / "000.png"), os.fsencode(tmp_path / "a") + b"/\xff.png")
    class_folder(tmp_path, {"c": 2})
    os.rename(os.fsencode(tmp_path / "c"), os.fsencode(tmp_path) + b"/\xe9")
    images = load(tmp_path)
    assert len(images) == 6 and images.classes == ("a", "b", "\ufffd")
    assert str(images.classes).encode()
