"""The study's classifier: learns, repeats itself bit for bit, mixes sources as told, augments as said."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from fastgan.metrics import Augment, Mix, predict, train_classifier
from fastgan.metrics.batches import transformed
from fastgan.noise import Stream, bits


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    return (data.images * 15.9).astype(np.uint8)[..., None], data.target.astype(np.int64)


def weights(model) -> dict[str, torch.Tensor]:
    return model.state_dict()


def same(a, b) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def test_learns_digits(digits):
    images, labels = digits
    model = train_classifier(images[:1400], labels[:1400], num_classes=10, steps=120, seed=0, augment=Augment(1, False))
    assert not model.training
    assert np.mean(predict(model, images[1400:]) == labels[1400:]) > 0.85


def test_same_seed_same_bits_other_seed_other_weights(digits):
    images, labels = digits

    def train(seed):
        return weights(train_classifier(images, labels, num_classes=10, steps=5, seed=seed, augment=Augment(1, True)))

    torch.manual_seed(1)
    first = train(3)
    torch.manual_seed(2)
    assert same(first, train(3))
    assert not same(first, train(4))


def test_a_mix_takes_its_share_of_every_batch():
    # The first source is black, the second white: the mean of what the network saw is the share.
    black, white = np.zeros((7, 8, 8, 1), np.uint8), np.full((5, 8, 8, 1), 255, np.uint8)
    mix = Mix(white, np.ones(5, np.int64), 0.25)
    seen = []
    handle = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda module, inputs: (
            seen.append(inputs[0].mean().item()) if type(module).__name__ == "SmallClassifier" else None
        )
    )
    try:
        train_classifier(black, np.zeros(7, np.int64), num_classes=2, steps=4, batch=16, mix=mix)
    finally:
        handle.remove()
    assert seen == pytest.approx([2 * 0.25 - 1] * 4)


def test_every_image_is_seen_once_before_any_is_seen_twice():
    # 12 images with one grey value each; 3 steps of 4 must show all twelve.
    images = np.tile(np.arange(0, 240, 20, dtype=np.uint8)[:, None, None, None], (1, 8, 8, 1))
    seen = []
    handle = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda module, inputs: (
            seen.extend(inputs[0][:, 0, 0, 0].tolist()) if type(module).__name__ == "SmallClassifier" else None
        )
    )
    try:
        train_classifier(images, np.arange(12) % 2, num_classes=2, steps=3, batch=4)
    finally:
        handle.remove()
    assert sorted(seen) == pytest.approx([v / 127.5 - 1 for v in range(0, 240, 20)])


def test_shifts_repeat_edges_and_mirrors_flip():
    image = np.arange(64, dtype=np.uint8).reshape(1, 8, 8, 1)
    draws = bits(0, Stream.AUGMENT, 0, 200, 3)
    out = transformed(image, np.zeros(200, np.int64), Augment(2, True), draws)
    allowed = {}
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            y, x = np.clip(np.arange(8) + dy, 0, 7), np.clip(np.arange(8) + dx, 0, 7)
            for flip in (False, True):
                shifted = image[0][np.ix_(y, x)]
                allowed[(shifted[:, ::-1] if flip else shifted).tobytes()] = (dy, dx, flip)
    seen = [allowed[picture.tobytes()] for picture in out]
    assert {dy for dy, _, _ in seen} == {dx for _, dx, _ in seen} == {-2, -1, 0, 1, 2}
    assert 60 < sum(flip for _, _, flip in seen) < 140
    assert np.array_equal(transformed(image, np.zeros(1, np.int64), Augment(0, False), draws[:1])[0], image[0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": np.zeros((4, 8, 8, 1), np.float32)}, r"images must be uint8 \[N, H, W, C\]"),
        ({"labels": np.zeros(3, np.int64)}, r"labels must be int64 \[4\]"),
        ({"labels": np.full(4, 2)}, r"labels must be in \[0, num_classes=2\)"),
        ({"steps": 0}, "steps must be >= 1"),
        (
            {"mix": Mix(np.zeros((4, 9, 9, 1), np.uint8), np.zeros(4, np.int64), 0.5)},
            r"images of \[8, 8, 1\]",
        ),
        ({"mix": Mix(np.zeros((4, 8, 8, 1), np.uint8), np.zeros(4, np.int64), 0.001)}, "share"),
    ],
)
def test_says_what_is_wrong(change, words):
    arguments = {
        "images": np.zeros((4, 8, 8, 1), np.uint8),
        "labels": np.zeros(4, np.int64),
        "steps": 1,
    } | change
    with pytest.raises(ValueError, match=words):
        train_classifier(arguments.pop("images"), arguments.pop("labels"), num_classes=2, **arguments)
