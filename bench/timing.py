"""Fair timing: engines take turns in every round, and only what they did in the same rounds is compared."""

import statistics
from collections.abc import Callable, Mapping
from typing import Protocol

DISCARD = 2
SECONDS = 0.3
HOPELESS = 8.0  # times slower than the fastest in the first round: further rounds would only take time


class Timed(Protocol):
    """Something that can be timed in blocks."""

    def time(self, discard: int, seconds: float) -> float:
        """Seconds per call of one block of at least `seconds`, after `discard` calls that do not count."""


def interleaved(
    engines: Mapping[str, Timed],
    rounds: int,
    seconds: float = SECONDS,
    step: Callable[[str], None] = lambda name: None,
    keep: dict[str, list[float]] | None = None,
    hopeless: float = HOPELESS,
) -> dict[str, list[float]]:
    """Seconds per call of each engine, one number a round; every other round runs backwards.

    An engine that is `hopeless` times slower than the fastest in the first round sits out the others.

    step: called with the name of the engine whose turn it is. keep: where the numbers are put, for a caller that
    wants those of the rounds before an interruption.
    """
    taken = {} if keep is None else keep
    taken.update({name: [] for name in engines})
    for number in range(rounds):
        fastest = min((values[0] for values in taken.values() if values), default=0.0)
        order = [name for name, values in taken.items() if not values or values[0] <= hopeless * fastest]
        for name in order if number % 2 == 0 else reversed(order):
            step(name)
            taken[name].append(engines[name].time(DISCARD, seconds))
    return taken


def percentiles(values: list[float]) -> dict[str, float]:
    """Median, and the 20th and 80th percentile as members of the list."""
    ordered = sorted(values)
    last = len(ordered) - 1
    return {"p20": ordered[round(0.2 * last)], "p50": statistics.median(ordered), "p80": ordered[round(0.8 * last)]}


def ratio(a: list[float], b: list[float]) -> float:
    """Median over the rounds both took part in of speed a / speed b, from their seconds."""
    return statistics.median(theirs / mine for mine, theirs in zip(a, b, strict=False))
