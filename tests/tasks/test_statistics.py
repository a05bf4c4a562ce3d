"""The verdict claims what its interval allows: planted gains, losses, ties, single seeds and lucky small test sets."""

import numpy as np
import pytest
from scipy import stats

from fastgan.tasks.statistics import (
    HELPED,
    HURT,
    NO_CLAIM,
    NO_DIFFERENCE,
    mean_interval,
    paired_difference,
    verdict_sentence,
)

SEEDS, IMAGES = 5, 2000


def planted(accuracies, images=IMAGES, seed=0) -> np.ndarray:
    """bool [k, n]: row s is right on a share accuracies[s] of the images, harder images failing in every row."""
    difficulty = np.random.default_rng(seed).random(images)
    noise = np.random.default_rng(seed + 1).normal(0, 0.02, (len(accuracies), images))
    ranks = (difficulty + noise).argsort(1).argsort(1)
    return ranks < np.round(np.asarray(accuracies) * images)[:, None]


BASE = planted([0.80, 0.81, 0.79, 0.805, 0.80])


def sentence(difference):
    return verdict_sentence(difference, real=300, synthetic=10_000, test_images=IMAGES)


def test_a_clear_gain_is_claimed():
    gain = paired_difference(planted([0.85, 0.86, 0.84, 0.852, 0.851]), BASE)
    assert gain.verdict == HELPED
    assert "adding 10,000 synthetic images helped: test accuracy rose by 4.96 percentage points" in sentence(gain)
    assert "5 paired seeds, 2,000 test images" in sentence(gain)


def test_a_clear_loss_is_claimed():
    loss = paired_difference(planted([0.75, 0.76, 0.74, 0.752, 0.751]), BASE)
    assert loss.verdict == HURT
    assert "hurt: test accuracy fell by 5.04 percentage points" in sentence(loss)


def test_noise_is_no_difference():
    tie = paired_difference(planted([0.81, 0.80, 0.80, 0.80, 0.795]), BASE)
    assert tie.verdict == NO_DIFFERENCE
    assert "no difference can be claimed" in sentence(tie)
    assert "helped" not in sentence(tie) and "hurt" not in sentence(tie)


def test_one_seed_has_no_interval_and_no_claim():
    one = paired_difference(planted([0.95]), planted([0.80]))
    assert one.seeds.low is None and one.seeds_and_images.high is None
    assert one.verdict == NO_CLAIM
    assert "no claim can be made" in sentence(one) and "one seed has no interval" in sentence(one)
    assert "helped" not in sentence(one)


def test_a_lucky_handful_of_test_images_is_no_claim():
    # Every seed gains the same two of 60 images: sure for these images, not for others.
    base = np.tile(np.arange(60) < 48, (5, 1))
    better = np.tile(np.arange(60) < 50, (5, 1))
    lucky = paired_difference(better, base)
    assert lucky.seeds.low > 0
    assert lucky.verdict == NO_DIFFERENCE


def test_identical_arms_give_an_interval_around_zero():
    same = paired_difference(BASE, BASE)
    assert same.verdict == NO_DIFFERENCE
    assert same.seeds.low < 0 < same.seeds.high


def test_intervals_equal_scipy_and_the_formula():
    better = planted([0.83, 0.80, 0.81, 0.82, 0.80], seed=3)
    result = paired_difference(better, BASE)
    by_seed = better.mean(1) - BASE.mean(1)
    low, high = stats.t.interval(0.95, SEEDS - 1, loc=by_seed.mean(), scale=stats.sem(by_seed))
    assert (result.seeds.low, result.seeds.high) == pytest.approx((low, high))
    images = (better.astype(float) - BASE).mean(0)
    half = stats.t.ppf(0.975, SEEDS - 1) * np.hypot(stats.sem(by_seed), stats.sem(images))
    assert result.seeds_and_images.high - result.seeds_and_images.mean == pytest.approx(half)
    accuracy = mean_interval(BASE.mean(1))
    low, high = stats.t.interval(0.95, SEEDS - 1, loc=BASE.mean(), scale=stats.sem(BASE.mean(1)))
    assert (accuracy.low, accuracy.high) == pytest.approx((low, high))


def test_the_interval_covers_the_truth_as_often_as_it_says():
    # Two arms of equal skill, seeds and images both random: a 95 % interval may miss 0 in about 5 % of studies.
    rng, missed = np.random.default_rng(5), 0
    for _ in range(400):
        skill = rng.normal(0, 0.5, 300)  # an image is easy or hard for every arm and seed
        arms = [(skill + rng.normal(0, 0.1, (5, 1)) + rng.normal(0, 1, (5, 300)) > -1) for _ in range(2)]
        missed += paired_difference(*arms).verdict != NO_DIFFERENCE
    assert missed / 400 < 0.07


def test_intervals_hold_possible_differences_only():
    right, wrong = np.ones((1, 10), bool), np.zeros((1, 10), bool)
    wild = paired_difference(np.vstack([right, wrong]), np.vstack([wrong, wrong]))
    assert (wild.seeds.mean, wild.seeds.low, wild.seeds.high) == (0.5, -1.0, 1.0)
    assert (wild.seeds_and_images.low, wild.seeds_and_images.high) == (-1.0, 1.0)
    assert "interval of the change -100.00 to +100.00;" in sentence(wild)


@pytest.mark.parametrize("skill", [0.9, 0.7, 0.8], ids=["helped", "hurt", "no difference"])
def test_every_sentence_says_how_many_real_images_the_gan_saw(skill):
    start = "For this run, whose GAN saw 300 real images, "
    assert sentence(paired_difference(planted([skill] * SEEDS, seed=7), BASE)).startswith(start)
    assert sentence(paired_difference(planted([skill], seed=7), BASE[:1])).startswith(start)


def test_shapes_must_match():
    with pytest.raises(ValueError, match=r"both must be bool \[k, n\]"):
        paired_difference(BASE, BASE[:4])
