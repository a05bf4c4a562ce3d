"""Hashes and splits: fixed for ever, a function of the pixels alone, no image on two sides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastgan.data.hashing import (
    MIN_FOR_SPLIT,
    TEST,
    TRAIN,
    VAL,
    content_hash,
    keyed_order,
    split_by_hash,
    split_official,
)


def _hashes(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, count, np.uint64)


def test_content_hash_golden():
    """Recorded: a change here would move images between the splits of every existing run."""
    assert content_hash(np.zeros((2, 2, 1), np.uint8)) == 0x90D8681D6A7B9AA6
    assert content_hash(np.arange(12, dtype=np.uint8).reshape(2, 2, 3)) == 0xA6C7290A86882B3D


def test_content_hash_sees_shape_and_pixels():
    flat = np.zeros(12, np.uint8)
    seen = {content_hash(flat.reshape(shape)) for shape in ((2, 2, 3), (12, 1, 1), (1, 12, 1), (3, 4, 1), (4, 3, 1))}
    assert len(seen) == 5
    other = np.zeros((2, 2, 3), np.uint8)
    other[1, 1, 2] = 1
    assert content_hash(other) not in seen
    assert content_hash(np.asfortranarray(other)) == content_hash(other)


def test_keyed_order_golden():
    """splitmix64(x XOR splitmix64(seed)); splitmix64(0) is the published first output 0xE220A8397B1DCDAF."""
    assert keyed_order(np.array([0xE220A8397B1DCDAF], np.uint64), 0)[0] == 0xE220A8397B1DCDAF
    keys = keyed_order(_hashes(1000), 1)
    assert len(set(keys.tolist())) == 1000
    assert not np.array_equal(np.argsort(keys), np.argsort(keyed_order(_hashes(1000), 2)))


def test_split_golden():
    splits = split_by_hash(np.arange(100, 120, dtype=np.uint64), None)
    assert splits.tolist() == [0, 0, 0, 0, 0, 0, 0, 0, 1, 2] * 2


def test_shares():
    counts = np.bincount(split_by_hash(_hashes(20_000), None)) / 20_000
    assert np.abs(counts - [0.8, 0.1, 0.1]).max() < 0.01


@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(1, 4))
def test_identical_images_share_a_split(seed, count, classes):
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 30, count).astype(np.uint64)
    splits = split_by_hash(hashes, rng.integers(0, classes, count))
    for value in np.unique(hashes):
        assert len(set(splits[hashes == value].tolist())) == 1


@given(st.integers(0, 2**32), st.lists(st.integers(1, 12), min_size=1, max_size=6))
def test_small_classes(seed, sizes):
    """From MIN_FOR_SPLIT images a class has train, val and test; below it gives none away."""
    hashes = _hashes(sum(sizes), seed)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    splits = split_by_hash(hashes, labels)
    for label, size in enumerate(sizes):
        present = set(splits[labels == label].tolist())
        assert TRAIN in present
        assert present == ({TRAIN, VAL, TEST} if size >= MIN_FOR_SPLIT else {TRAIN})


@pytest.mark.parametrize("last", [0, 8, 9])
def test_a_class_whose_hashes_all_fall_into_one_split(last):
    hashes = np.arange(MIN_FOR_SPLIT, dtype=np.uint64) * np.uint64(10) + np.uint64(last)
    assert np.bincount(split_by_hash(hashes, None)).min() == 1
    assert sorted(np.bincount(split_by_hash(hashes, None)).tolist()) == [1, 1, 3]


def test_unlabelled_small_set_has_all_three():
    for seed in range(20):
        assert set(split_by_hash(_hashes(MIN_FOR_SPLIT, seed), None).tolist()) == {TRAIN, VAL, TEST}


def test_order_and_additions_do_not_matter():
    hashes, labels = _hashes(500), np.random.default_rng(1).integers(0, 5, 500)
    splits = split_by_hash(hashes, labels)
    order = np.random.default_rng(2).permutation(500)
    assert np.array_equal(split_by_hash(hashes[order], labels[order]), splits[order])
    more = split_by_hash(np.concatenate([hashes, _hashes(100, 9)]), np.concatenate([labels, np.zeros(100, int)]))
    assert np.array_equal(more[:500], splits)


def test_official_test_set_stays_and_its_twins_leave_train():
    hashes = _hashes(1200)
    official = np.repeat([TRAIN, TEST], [1000, 200]).astype(np.uint8)
    hashes[5] = hashes[1100]
    splits, keep = split_official(hashes, official)
    assert (splits[1000:] == TEST).all() and keep[1000:].all()
    assert not keep[5] and keep.sum() == 1199
    assert 50 < (splits == VAL).sum() < 120  # a twelfth of 1000


def test_official_val_is_kept():
    official = np.repeat([TRAIN, VAL, TEST], [100, 20, 30]).astype(np.uint8)
    hashes = _hashes(150)
    hashes[0] = hashes[110]
    splits, keep = split_official(hashes, official)
    assert np.array_equal(splits, official)
    assert np.flatnonzero(~keep).tolist() == [0]


def test_official_train_without_test_gets_one():
    splits, keep = split_official(_hashes(1000), np.full(1000, TRAIN, np.uint8))
    assert keep.all()
    assert 60 < (splits == TEST).sum() < 140 and 40 < (splits == VAL).sum() < 120


@pytest.mark.parametrize("seed", range(20))
def test_official_never_leaks(seed):
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 50, 200).astype(np.uint64)
    splits, keep = split_official(hashes, rng.integers(0, 3, 200).astype(np.uint8))
    sides = [set(hashes[keep & (splits == s)].tolist()) for s in (TRAIN, VAL, TEST)]
    assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]
