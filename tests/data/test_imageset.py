"""ImageSet: subsets that are recorded and repeated, and the description a run keeps."""

import json
from dataclasses import replace

import numpy as np
import pytest
from support.images import picture

from fastgan.data import ImageSet, load
from fastgan.errors import DataError


def _set(count: int = 60, classes: int = 3) -> ImageSet:
    images = np.stack([picture(seed, 8, 8, 1) for seed in range(count)])
    return load((images, np.arange(count) % classes))


def test_split_and_counts():
    images = _set()
    parts = [images.split(name) for name in ("train", "val", "test")]
    assert [len(part) for part in parts] == list(images.counts().values())
    assert sum(map(len, parts)) == len(images) == 60
    assert sum(sum(row.values()) for row in images.class_counts().values()) == 60
    assert parts[1].classes == images.classes
    with pytest.raises(ValueError, match="one of train, val, test, got 'all'"):
        images.split("all")


def test_select_keeps_columns_together():
    images = _set()
    chosen = images.select([5, 3, 3])
    assert np.array_equal(chosen.images, images.images[[5, 3, 3]])
    assert chosen.labels.tolist() == images.labels[[5, 3, 3]].tolist()
    assert chosen.hashes.tolist() == images.hashes[[5, 3, 3]].tolist()
    assert len(images.select([])) == 0
    assert len(images.select(images.labels == 1)) == 20


def test_real_per_class_counts_and_leaves_val_and_test():
    images = _set()
    subset = images.real_per_class(4, seed=7)
    assert [row["train"] for row in subset.class_counts().values()] == [4, 4, 4]
    assert [subset.counts()[name] for name in ("val", "test")] == [images.counts()[name] for name in ("val", "test")]


def test_real_per_class_depends_on_content_and_seed_alone():
    images = _set()
    hashes = images.real_per_class(4, seed=7).train_hashes()
    shuffled = images.select(np.random.default_rng(0).permutation(60))
    assert shuffled.real_per_class(4, seed=7).train_hashes() == hashes
    assert images.split("train").real_per_class(4, seed=7).train_hashes() == hashes
    assert images.real_per_class(4, seed=8).train_hashes() != hashes
    assert set(hashes) < set(images.real_per_class(5, seed=7).train_hashes())


def test_real_per_class_golden():
    """Recorded: the same subset of digits for ever."""
    hashes = load("digits").real_per_class(1, seed=0).train_hashes()
    assert hashes[:3] == ["13d7eefc9134563c", "215a7e2c189aaded", "2823cfbdf74365c4"]


def test_real_per_class_takes_no_twins():
    images = np.concatenate([np.stack([picture(s, 8, 8, 1) for s in range(40)])] * 3)
    twins = load((images, np.tile(np.repeat([0, 1], 20), 3)))
    for k in (1, 2, 3):
        subset = twins.real_per_class(k, 0).split("train")
        assert len(subset) == len(set(subset.hashes.tolist())) == 2 * k
    with pytest.raises(DataError, match=r"class '0' has 1\d different training images, 21 were asked for"):
        twins.real_per_class(21, 0)


def test_real_per_class_of_an_unlabelled_set():
    images = load(np.stack([picture(s, 8, 8, 1) for s in range(30)]))
    assert images.real_per_class(5, 0).counts()["train"] == 5
    with pytest.raises(DataError, match="the set has"):
        images.real_per_class(100, 0)


@pytest.mark.parametrize("k", [0, -1, 1.5, True])
def test_real_per_class_wants_a_count(k):
    with pytest.raises(ValueError, match="k must be a whole number of at least 1"):
        _set().real_per_class(k, 0)


def test_only_repeats_a_recorded_choice():
    images = _set()
    subset = images.real_per_class(3, seed=1)
    again = images.only(subset.train_hashes())
    assert np.array_equal(again.images, subset.images)
    with pytest.raises(DataError, match="8 of the 9 recorded training images"):
        gone = np.flatnonzero(images.hashes == int(subset.train_hashes()[0], 16))
        images.select(np.setdiff1d(np.arange(60), gone)).only(subset.train_hashes())


def test_describe_is_json_and_ignores_order():
    images = _set()
    described = json.loads(json.dumps(images.describe()))
    assert described["counts"] == images.counts()
    assert described["classes"] == ["0", "1", "2"]
    shuffled = images.select(np.random.default_rng(0).permutation(60)).describe()
    assert shuffled["sha256"] == described["sha256"] and shuffled["test_sha256"] == described["test_sha256"]
    assert images.select(range(59)).describe()["sha256"] != described["sha256"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": np.zeros((60, 8, 8, 3), np.uint8)}, r"images must be uint8 \[N, 8, 8, 1\]"),
        ({"images": np.zeros((60, 8, 8, 1), np.float32)}, "got float32"),
        ({"labels": None}, "given together"),
        ({"labels": np.zeros(59, np.int64)}, r"labels must be int64 \[60\]"),
        ({"splits": np.zeros(60, np.int64)}, "splits must be uint8"),
        ({"hashes": np.zeros(60, np.int64)}, "hashes must be uint64"),
        ({"classes": ("b", "a", "c")}, "different and sorted"),
    ],
)
def test_columns_must_fit(change, words):
    with pytest.raises(ValueError, match=words):
        replace(_set(), **change)
