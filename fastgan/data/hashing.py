"""Content hashes, and the split that follows from them alone."""

import hashlib

import numpy as np

TRAIN, VAL, TEST = 0, 1, 2
MIN_FOR_SPLIT = 5  # distinct images below which a class is too small to give any away


def content_hash(image: np.ndarray) -> int:
    """First 8 bytes (big-endian) of SHA-256 over H, W, C as little-endian uint32 and the uint8 pixels."""
    digest = hashlib.sha256(np.asarray(image.shape, "<u4").tobytes())
    digest.update(np.ascontiguousarray(image, np.uint8).data)
    return int.from_bytes(digest.digest()[:8], "big")


def keyed_order(hashes: np.ndarray, seed: int) -> np.ndarray:
    """uint64 [N] sort keys that are a function of (hash, seed): splitmix64 of hash XOR splitmix64 of the
    seed.

    Constants: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
    """
    return _splitmix64(hashes ^ _splitmix64(np.array([seed % 2**64], np.uint64)))


def _splitmix64(x: np.ndarray) -> np.ndarray:
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def split_by_hash(hashes: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    """Split a set that has no official one: uint8 [N] of TRAIN, VAL, TEST, about 80/10/10.

    An image's split is its hash modulo 10 (8 is val, 9 is test), so identical images share a split and an added image
    moves no other one; except where a class is small: a class (or an unlabelled set) of at least MIN_FOR_SPLIT distinct
    images that has none in train, val or test gets one there, chosen by hash, and a class below that keeps all its
    images in train.

    Args:
        hashes: uint64 [N] content hashes.
        labels: int64 [N], or None.
    """
    bucket = (hashes % np.uint64(10)).astype(np.int64)
    splits = np.select([bucket == 9, bucket == 8], [TEST, VAL], TRAIN).astype(np.uint8)
    groups = _groups(len(hashes), labels)
    small = [members for members in groups if np.unique(hashes[members]).size < MIN_FOR_SPLIT]
    if small:
        splits[np.isin(hashes, hashes[np.concatenate(small)])] = TRAIN
    for members in groups:
        if np.unique(hashes[members]).size >= MIN_FOR_SPLIT:
            _give_one(splits, hashes, members)
    return splits


def _groups(count: int, labels: np.ndarray | None) -> list[np.ndarray]:
    """The positions of each class's images; all of them in one group where there are no labels."""
    if labels is None or count == 0:
        return [np.arange(count)]
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)


def _give_one(splits: np.ndarray, hashes: np.ndarray, members: np.ndarray) -> None:
    """Where the group has no image in a split, move one there, with all its copies, from its fullest split."""
    for wanted in (TEST, VAL, TRAIN):
        if (splits[members] == wanted).any():
            continue
        donors = max((np.unique(hashes[members[splits[members] == s]]) for s in (TRAIN, VAL, TEST)), key=len)
        chosen = donors[np.argmin(keyed_order(donors, wanted))]
        splits[hashes == chosen] = wanted


def split_official(hashes: np.ndarray, official: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Complete a split that the source gives in part.

    Args:
        hashes: uint64 [N].
        official: uint8 [N] of TRAIN, VAL, TEST as the source says.

    Returns:
        splits uint8 [N] and keep bool [N]. A missing val set is cut from train: hash modulo 12 is 0. A
        missing test set
        is cut from train: hash modulo 10 is 9. Images of train or val whose hash is also in test, and images
            of train
        whose hash is also in val, are not kept: no image is ever on both sides.
    """
    splits = official.copy()
    has_val, has_test = (official == VAL).any(), (official == TEST).any()
    if not has_test:
        splits[(splits == TRAIN) & (hashes % np.uint64(10) == 9)] = TEST
    if not has_val:
        splits[(splits == TRAIN) & (hashes % np.uint64(12) == 0)] = VAL
    keep = ~((splits != TEST) & np.isin(hashes, hashes[splits == TEST]))
    keep &= ~((splits == TRAIN) & np.isin(hashes, hashes[splits == VAL]))
    return splits, keep
