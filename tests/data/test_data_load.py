"""`load`: size and channels chosen from the data, order and pixels independent of threads, the known sets."""

import os

import numpy as np
import pytest
from support.images import class_folder, picture, save

from fastgan.data import Entry, Reader, Source, Transform, load, readers, register, survey
from fastgan.data.decode import BadImage
from fastgan.errors import DataError


def test_size_of_uniform_images_is_their_own(tmp_path):
    class_folder(tmp_path, {"a": 3, "b": 3}, 28, 20)
    assert load(tmp_path).transform.size == (28, 20)


def test_size_is_the_median_and_capped(tmp_path):
    for i, (height, width) in enumerate([(40, 30), (50, 40), (1000, 900)]):
        save(tmp_path / f"{i}.png", picture(i, height, width))
    assert load(tmp_path).transform.size == (50, 40)
    save(tmp_path / "3.png", picture(3, 200, 100))
    save(tmp_path / "4.png", picture(4, 200, 100))
    assert load(tmp_path).transform.size == (64, 32)


def test_valid_size_has_the_last_word_unless_a_size_is_given(tmp_path):
    class_folder(tmp_path, {"a": 2, "b": 2}, 30, 30)
    asked = []

    def nearest(height, width):
        asked.append((height, width))
        return 28, 28

    assert load(tmp_path, valid_size=nearest).images.shape[1:3] == (28, 28)
    assert asked == [(30, 30)]
    assert load(tmp_path, size=(16, 24), valid_size=nearest).images.shape[1:3] == (16, 24)
    assert len(asked) == 1


def test_channels_auto(tmp_path):
    class_folder(tmp_path / "grey", {"a": 2, "b": 2}, channels=1)
    assert load(tmp_path / "grey").transform.channels == 1
    assert load(tmp_path / "grey", alpha="keep").transform.channels == 4
    assert load(tmp_path / "grey", channels=3).images.shape[-1] == 3
    assert load(tmp_path / "grey", channels="3").images.shape[-1] == 3
    save(tmp_path / "grey" / "a" / "colour.png", picture(9))
    assert load(tmp_path / "grey").transform.channels == 3
    with pytest.raises(ValueError, match="channels must be one of"):
        load(tmp_path / "grey", channels=2)


@pytest.mark.parametrize(("alpha", "expected"), [("white", 255), ("black", 0)])
def test_alpha_of_a_jpg_by_name(tmp_path, alpha, expected):
    array = np.zeros((8, 8, 4), np.uint8)
    save(tmp_path / "a.jpg", array, "PNG")
    assert (load(tmp_path, alpha=alpha).images == expected).all()
    assert np.array_equal(load(tmp_path, alpha="keep").images[0], array)


def test_stored_transform_gives_the_same_images(tmp_path):
    class_folder(tmp_path, {"a": 5, "b": 5}, 20, 30)
    first = load(tmp_path, size=(16, 16), fit="pad", channels=1, alpha="black")
    again = load(tmp_path, transform=Transform.from_json(first.describe()["transform"]))
    assert again.describe() == first.describe()
    assert np.array_equal(again.images, first.images)


@pytest.mark.parametrize("cores", [1, 7])
def test_result_does_not_depend_on_threads(tmp_path, monkeypatch, cores):
    class_folder(tmp_path, {"a": 40, "b": 40}, 20, 30)
    (tmp_path / "a" / "bad.png").write_text("no image here, sorry")
    expected = load(tmp_path, size=(12, 12))
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    got = load(tmp_path, size=(12, 12))
    assert np.array_equal(got.images, expected.images)
    assert np.array_equal(got.splits, expected.splits)
    assert got.skipped == expected.skipped


def test_progress_reaches_its_end(tmp_path):
    class_folder(tmp_path, {"a": 70, "b": 70})
    seen = []
    load(tmp_path, progress=lambda done, total, text: seen.append((done, total, text)))
    assert seen[-1] == (140, 140, "decoding")
    assert [done for done, _, text in seen if text == "decoding"] == [64, 128, 140]


def test_an_error_in_progress_stops_the_work(tmp_path):
    class_folder(tmp_path, {"a": 70, "b": 70})

    def interrupt(done, total, text):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(tmp_path, progress=interrupt)


def test_digits():
    images = load("digits")
    assert images.images.shape == (1797, 8, 8, 1)
    assert images.classes == tuple("0123456789") and images.name == "digits"
    assert images.images.min() == 0 and images.images.max() == 255
    counts = images.counts()
    assert counts == {"train": 1456, "val": 174, "test": 167}


def test_survey(tmp_path):
    class_folder(tmp_path, {"a": 3, "b": 2}, 10, 12)
    save(tmp_path / "a" / "t.png", picture(9, 5, 6, 4))
    found = survey(tmp_path)
    assert found.sizes == {(10, 12): 5, (5, 6): 1}
    assert (len(found), found.grey, found.alpha) == (6, 0, 1)


def test_a_reader_of_ones_own(tmp_path, monkeypatch):
    """What a new format needs: a name, a question, a listing."""
    path = tmp_path / "pictures.ours"
    path.touch()

    def failing():
        raise BadImage("gone")

    def listing(path, limits):
        good = [Entry(f"{i}", "xy"[i % 2], array=picture(i)) for i in range(6)]
        return Source(str(path), [*good, Entry("bad", "x", open=failing)])

    with pytest.raises(DataError, match="not a kind"):
        load(path)
    monkeypatch.setattr(readers, "_READERS", list(readers.readers()))
    register(Reader("ours", lambda p: p.suffix == ".ours", listing))
    images = load(path)
    assert images.classes == ("x", "y") and len(images) == 6
    assert images.skipped == [("bad", "gone")]
