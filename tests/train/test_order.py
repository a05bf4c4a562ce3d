"""The order of real images is a function of (seed, step) alone and sees every image once before any twice."""

import numpy as np
import pytest
import torch

from fastgan.data import load
from fastgan.models.pixels import to_float
from fastgan.train.order import RealBatches

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits():
    return load("digits").split("train")


def numbered(images, count: int):
    """The first `count` images with their own number as the value of every pixel."""
    chosen = images.select(np.arange(count))
    chosen.images[:] = np.arange(count, dtype=np.uint8)[:, None, None, None]
    return chosen


def shown(batches: RealBatches, step: int) -> list[int]:
    pixels, _ = batches(step)
    return ((pixels[:, 0, 0, 0] + 1) * 127.5).round().int().tolist()


def test_every_pass_sees_every_image_once(digits):
    batches = RealBatches(numbered(digits, 50), 7, 3, False, CPU)
    order = [i for step in range(50) for i in shown(batches, step)]
    for epoch in range(7):
        assert sorted(order[epoch * 50 : (epoch + 1) * 50]) == list(range(50))
    assert order[:50] != order[50:100]


def test_any_step_can_be_asked_for_first(digits):
    images = numbered(digits, 20)
    forward = [shown(RealBatches(images, 8, 1, False, CPU), step) for step in range(12)]
    batches = RealBatches(images, 8, 1, False, CPU)
    assert [shown(batches, step) for step in reversed(range(12))] == forward[::-1]


def test_a_batch_larger_than_the_data(digits):
    order = shown(RealBatches(numbered(digits, 3), 8, 0, False, CPU), 0)
    assert sorted(order[:3]) == sorted(order[3:6]) == [0, 1, 2]


def test_labels_belong_to_their_images(digits):
    pixels, labels = RealBatches(digits, 16, 0, False, CPU)(4)
    for image, label in zip(pixels, labels, strict=True):
        same = (to_float(torch.from_numpy(digits.images)) == image).all(dim=(1, 2, 3))
        assert int(label) in digits.labels[same.numpy()]


def test_flip_mirrors_some_and_not_all(digits):
    plain, _ = RealBatches(digits, 64, 0, False, CPU)(0)
    flipped, _ = RealBatches(digits, 64, 0, True, CPU)(0)
    same = (plain == flipped).all(dim=(1, 2, 3))
    mirrored = (plain.flip(3) == flipped).all(dim=(1, 2, 3))
    assert (same | mirrored).all()
    assert 16 <= int(mirrored.sum()) <= 48
