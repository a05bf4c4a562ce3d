"""The gate: what an engine gives is held against float64 before its speed is looked at."""

from dataclasses import dataclass

import numpy as np

# float32 errs by about 1e-6 of the largest value; bf16, TF32 and a forgotten epsilon by 1e-3 and more.
LARGEST = 1e-4
LOSSES = 1e-4
# Adam's first step has the sign of a gradient, and float32 does not know that of one near 0: 0.1 to 0.3% of a weight's
# (stock torch's too), each an error of 2.
UPDATES = 2e-1
NORMS = 1e-3


@dataclass(frozen=True)
class Verdict:
    """error: the largest relative one; complaint: None where the gate is green, else the sentence why not."""

    error: float
    complaint: str | None = None


def judge(got: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> Verdict:
    """Hold the outputs of one call against those of the float64 reference.

    Losses ("*_loss"): relative difference. "update/*": how far each parameter moved, as a norm (this counts for
    `error`) and as a vector. Anything else, images too: largest difference by largest value.
    """
    if got.keys() != expected.keys():
        amiss = sorted(got.keys() ^ expected.keys())
        return Verdict(float("inf"), f"wrong: {amiss[0]} is missing or was not asked for")
    worst = 0.0
    for name, truth in expected.items():
        mine = got[name].astype(np.float64)
        if mine.shape != truth.shape:
            return Verdict(float("inf"), f"wrong: {name} is {list(mine.shape)}, not {list(truth.shape)}")
        if not np.isfinite(mine).all():
            return Verdict(float("inf"), f"wrong: {name} is not finite")
        if name.startswith("update/"):
            error, allowed = _relative(np.linalg.norm(mine), np.linalg.norm(truth)), NORMS
            apart = np.linalg.norm(mine - truth) / max(np.linalg.norm(truth), 1e-30)
            if not apart <= UPDATES:
                return Verdict(apart, f"wrong: {name} differs from float64 by {apart:.1e} of its norm ({UPDATES:.0e})")
        elif name.endswith("_loss"):
            error, allowed = float(np.max(_relative(mine, truth))), LOSSES
        else:
            error, allowed = _by_largest(mine, truth), LARGEST
        if not error <= allowed:
            return Verdict(error, f"wrong: {name} differs from float64 by {error:.1e} ({allowed:.0e} is allowed)")
        worst = max(worst, error)
    return Verdict(worst)


def _relative(mine: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return np.abs(mine - truth) / np.maximum(np.abs(truth), 1e-30)


def _by_largest(mine: np.ndarray, truth: np.ndarray) -> float:
    return float(np.abs(mine - truth).max() / max(np.abs(truth).max(), 1e-30))
