"""KID: unbiased, ordered by corruption, equal to an independent float64 formula, silent towards the RNG."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from fastgan.metrics import kid
from fastgan.noise import Stream, permutation


def independent_kid(x: np.ndarray, y: np.ndarray) -> float:
    """The unbiased estimator written from the paper, pair by pair: mean over i != j, and over all (i, j)."""

    def kernel(a, b):
        return (a.astype(np.float64) @ b.astype(np.float64).T / a.shape[1] + 1) ** 3

    off = ~np.eye(len(x), dtype=bool)
    return kernel(x, x)[off].mean() + kernel(y, y)[off].mean() - 2 * kernel(x, y).mean()


def rows(rng: np.random.Generator, n: int, shift: float = 0.0) -> np.ndarray:
    return (rng.standard_normal((n, 16)) + shift).astype(np.float32)


def test_equals_an_independent_float64_formula():
    rng = np.random.default_rng(0)
    real, fake = rows(rng, 60), rows(rng, 50, 0.5)
    result = kid(real, fake, subsets=3, subset_size=40, seed=7)
    expected = [
        independent_kid(
            real[permutation(7, Stream.METRIC, 2 * i, 60)[:40]],
            fake[permutation(7, Stream.METRIC, 2 * i + 1, 50)[:40]],
        )
        for i in range(3)
    ]
    assert result.mean == pytest.approx(np.mean(expected), rel=1e-12)
    assert result.std == pytest.approx(np.std(expected), rel=1e-9)
    assert (result.subsets, result.subset_size) == (3, 40)


def test_is_unbiased_for_one_distribution():
    rng = np.random.default_rng(1)
    values = np.array([kid(rows(rng, 40), rows(rng, 40), subsets=1, subset_size=40).mean for _ in range(300)])
    standard_error = values.std() / np.sqrt(len(values))
    assert abs(values.mean()) < 3.5 * standard_error
    # The biased estimator (diagonal kept) would sit this far away.
    assert standard_error < 0.05 * 8 / 40


def pixel_features(images: np.ndarray) -> np.ndarray:
    return (images.reshape(len(images), -1) / 8.0 - 1.0).astype(np.float32)


def blurred(images: np.ndarray) -> np.ndarray:
    return sum(np.roll(images, (dy, dx), (1, 2)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)) / 9


def test_grows_with_every_kind_of_corruption():
    digits = load_digits().images.astype(np.float32)
    rng = np.random.default_rng(2)
    digits = digits[rng.permutation(len(digits))]
    real, other = digits[:800], digits[800:1600]
    floor = kid(pixel_features(real), pixel_features(other))
    assert abs(floor.mean) < 3 * floor.std
    noise = rng.standard_normal(other.shape).astype(np.float32)
    families = {
        "noise": [np.clip(other + strength * noise, 0, 16) for strength in (2, 4, 8)],
        "blur": [(1 - share) * other + share * blurred(other) for share in (0.3, 0.6, 1.0)],
        "collapse to ten images": [other[np.arange(800) % modes] for modes in (100, 30, 10)],
    }
    for name, versions in families.items():
        values = [kid(pixel_features(real), pixel_features(v)).mean for v in versions]
        assert floor.mean + 3 * floor.std < values[0] < values[1] < values[2], name


def test_depends_on_the_seed_alone_and_leaves_torch_random_state():
    rng = np.random.default_rng(3)
    real, fake = rows(rng, 100), rows(rng, 100, 1.0)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = kid(real, fake, seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(6)
    assert kid(real, fake, seed=1) == first
    assert kid(real, fake, seed=2) != first


@pytest.mark.parametrize(
    ("real", "fake", "options", "words"),
    [
        (np.zeros((9, 4)), np.zeros((9, 5)), {}, r"fake_features must be \[M, 4\]"),
        (np.zeros((9, 4)), np.zeros((1, 4)), {}, r"fake_features must be \[N, F\] with N >= 2"),
        (np.zeros((9, 4)), np.full((9, 4), np.nan), {}, "must be finite"),
        (np.zeros((9, 4)), np.zeros((8, 4)), {"subset_size": 9}, r"subset_size must be in \[2, 8\]"),
        (np.zeros((9, 4)), np.zeros((8, 4)), {"subsets": 0}, "subsets must be at least 1"),
    ],
)
def test_says_what_is_wrong(real, fake, options, words):
    with pytest.raises(ValueError, match=words):
        kid(real, fake, **options)
