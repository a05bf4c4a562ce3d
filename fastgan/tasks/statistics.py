"""What paired accuracies allow one to say: intervals, and a sentence that claims no more."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

LEVEL = 0.95

HELPED = "helped"
HURT = "hurt"
NO_DIFFERENCE = "no difference"
NO_CLAIM = "no claim"


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % interval; `low` and `high` are None where one seed gives none."""

    mean: float
    low: float | None
    high: float | None

    def within(self, lowest: float, highest: float) -> "Interval":
        """The part of the interval that is possible."""
        if self.low is None or self.high is None:
            return self
        return Interval(self.mean, max(self.low, lowest), min(self.high, highest))

    def to_json(self) -> dict[str, float | None]:
        """The three numbers by name."""
        return asdict(self)


@dataclass(frozen=True)
class Difference:
    """Accuracy of one arm minus that of another, paired by seed and by test image, in [-1, 1].

    Attributes:
        by_seed: one difference for each seed.
        seeds: Student's interval over the seeds, on just these test images.
        seeds_and_images: the wider interval that also counts which test images happened to be drawn.
    """

    by_seed: tuple[float, ...]
    seeds: Interval
    seeds_and_images: Interval

    @property
    def verdict(self) -> str:
        """`helped`, `hurt` or `no difference` by the wider interval; `no claim` for one seed."""
        low, high = self.seeds_and_images.low, self.seeds_and_images.high
        if low is None:
            return NO_CLAIM
        return HELPED if low > 0 else HURT if high < 0 else NO_DIFFERENCE

    def to_json(self) -> dict[str, Any]:
        """JSON values with both intervals and the verdict."""
        return {
            "by_seed": list(self.by_seed),
            "seeds": self.seeds.to_json(),
            "seeds_and_images": self.seeds_and_images.to_json(),
            "verdict": self.verdict,
        }


def mean_interval(values: np.ndarray) -> Interval:
    """Student's 95 % interval of the mean of `values` [k], a sample of a normal distribution."""
    return _student(float(np.mean(values)), _variance_of_mean(values), len(values))


def paired_difference(correct: np.ndarray, baseline_correct: np.ndarray) -> Difference:
    """Compare two arms on the same seeds and test images.

    correct, baseline_correct: bool [k, n], row s = seed s, column j = test image j.

    The variance of the mean difference has a part from the seeds, s^2 / k of the k differences, and a part
    from the draw of test images, s^2 / n of the n mean differences of the images. The wider interval adds
    both (the second also holds a share of the first, so the sum errs on the careful side) and keeps Student's
    quantile for k - 1 degrees of freedom. Where all seeds agree exactly, the seeds' variance is not taken
    below that of rounding an accuracy to whole images, (1 / n)^2 / 12. Both intervals are cut to [-1, 1].
    """
    if correct.shape != baseline_correct.shape or correct.ndim != 2 or 0 in correct.shape:
        raise ValueError(
            f"paired_difference: both must be bool [k, n], got {list(correct.shape)} and {list(baseline_correct.shape)}"
        )
    k, n = correct.shape
    delta = correct.astype(np.float64) - baseline_correct.astype(np.float64)
    by_seed = delta.mean(1)
    from_seeds = max(_variance_of_mean(by_seed), (1 / n) ** 2 / 12 / k)
    from_images = _variance_of_mean(delta.mean(0))
    mean = float(by_seed.mean())
    return Difference(
        tuple(float(d) for d in by_seed),
        _student(mean, from_seeds, k).within(-1.0, 1.0),
        _student(mean, from_seeds + from_images, k).within(-1.0, 1.0),
    )


def verdict_sentence(difference: Difference, *, real: int, synthetic: int, test_images: int) -> str:
    """One sentence "For this run ..." on adding `synthetic` images, measured on `test_images` images.

    real: how many images the GAN was trained on; images added to few real ones say little about many.
    """
    run = f"For this run, whose GAN saw {real:,} real images,"
    seeds = len(difference.by_seed)
    points = f"{100 * difference.seeds_and_images.mean:+.2f} percentage points"
    if difference.verdict == NO_CLAIM:
        return (
            f"{run} no claim can be made: with {synthetic:,} synthetic images added, one seed gave "
            f"{points}, and one seed has no interval; use --seeds 5."
        )
    interval = _points(difference.seeds_and_images)
    basis = f"95 % interval of the change {interval}; {seeds} paired seeds, {test_images:,} test images"
    if difference.verdict == NO_DIFFERENCE:
        return (
            f"{run} no difference can be claimed: adding {synthetic:,} synthetic images changed test "
            f"accuracy by {points} ({basis})."
        )
    done = "helped: test accuracy rose" if difference.verdict == HELPED else "hurt: test accuracy fell"
    change = f"{100 * abs(difference.seeds_and_images.mean):.2f} percentage points"
    return f"{run} adding {synthetic:,} synthetic images {done} by {change} ({basis})."


def _points(interval: Interval) -> str:
    return f"{100 * interval.low:+.2f} to {100 * interval.high:+.2f}"


def _variance_of_mean(values: np.ndarray) -> float:
    return float(np.var(values, ddof=1)) / len(values) if len(values) > 1 else 0.0


def _student(mean: float, variance: float, k: int) -> Interval:
    if k < 2:
        return Interval(mean, None, None)
    half = float(stats.t.ppf((1 + LEVEL) / 2, k - 1)) * variance**0.5
    return Interval(mean, mean - half, mean + half)
