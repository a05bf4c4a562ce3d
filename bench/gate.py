"""The gate: what an engine gives is held against float64 before its speed is looked at."""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Tolerance:
    """
    largest, norm: of images and maps, the error by its largest value and by its norm, relative to the truth's. losses:
    relative. moved: how far a parameter went, relative, by norm. apart: where it went, as a vector, relative.
    strays: numbers of a parameter, beside the share that `moved` and `apart` allow, whose gradient may vanish or
    change its sign; it is the small parameters that need them.
    """

    largest: float
    norm: float
    losses: float
    moved: float
    apart: float
    strays: int


# float32 errs by about 1e-6 of the largest value; bf16, TF32 and a forgotten epsilon by 1e-3 and more. Adam's first
# step has the sign of a gradient, and float32 does not know that of one near 0: 0.1 to 0.3% of a weight's (stock
# torch's too), each an error of 2. Those of half precision are twice the largest errors that stock torch under autocast
# was seen to make on these networks (docs/bench.md); images in bf16 do not pass for fp16.
_NETWORKS = {
    "fp32": Tolerance(largest=1e-4, norm=1e-4, losses=1e-4, moved=1e-3, apart=0.2, strays=0),
    "fp16": Tolerance(largest=1.4e-2, norm=2.5e-3, losses=1e-3, moved=4e-3, apart=0.4, strays=1),
    "bf16": Tolerance(largest=8e-2, norm=1.6e-2, losses=6e-3, moved=6e-3, apart=0.6, strays=2),
}
# One operator rounds once or twice.
_OPERATORS = {
    "fp32": _NETWORKS["fp32"],
    "fp16": replace(_NETWORKS["fp16"], largest=1.8e-3, norm=1e-3),
    "bf16": replace(_NETWORKS["bf16"], largest=1.1e-2, norm=5.2e-3),
}
_MOST_APART = 1.5  # however small a parameter: of its norm, and the wrong way is 2


@dataclass(frozen=True)
class Verdict:
    """error: the largest relative one; complaint: None where the gate is green, else the sentence why not."""

    error: float
    complaint: str | None = None


def tolerance(precision: str, operator: bool = False) -> Tolerance:
    """What a network, or a single operator, may err by at this precision."""
    return (_OPERATORS if operator else _NETWORKS)[precision]


_FLOAT32 = tolerance("fp32")


def judge(got: dict[str, np.ndarray], expected: dict[str, np.ndarray], allowed: Tolerance = _FLOAT32) -> Verdict:
    """Hold the outputs of one call against those of the float64 reference.

    Losses ("*_loss"): relative difference. "update/*": how far each parameter moved, as a norm (this counts for
    `error`) and as a vector. Anything else, images too: difference by largest value (this counts) and by norm.
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
        error, complaint = _judge_one(name, mine, truth, allowed)
        if complaint:
            return Verdict(error, f"wrong: {name} differs from float64 by {complaint}")
        worst = max(worst, error)
    return Verdict(worst)


def _judge_one(name: str, mine: np.ndarray, truth: np.ndarray, allowed: Tolerance) -> tuple[float, str | None]:
    """(what counts as its error, what is wrong with it)."""
    apart = float(np.linalg.norm(mine - truth) / max(np.linalg.norm(truth), 1e-30))
    if name.startswith("update/"):
        share = allowed.strays / truth.size
        far = max(allowed.apart, min((allowed.apart**2 + 4 * share) ** 0.5, _MOST_APART))
        if not apart <= far:
            return apart, f"{apart:.1e} of its norm ({far:.1e} is allowed)"
        error, limit = float(_relative(np.linalg.norm(mine), np.linalg.norm(truth))), allowed.moved + share / 2
    elif name.endswith("_loss"):
        error, limit = float(np.max(_relative(mine, truth))), allowed.losses
    else:
        error, limit = float(np.abs(mine - truth).max() / max(np.abs(truth).max(), 1e-30)), allowed.largest
        if error <= limit and not apart <= allowed.norm:
            return apart, f"{apart:.1e} by norm ({allowed.norm:.1e} is allowed)"
    return error, None if error <= limit else f"{error:.1e} ({limit:.1e} is allowed)"


def _relative(mine: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return np.abs(mine - truth) / np.maximum(np.abs(truth), 1e-30)
