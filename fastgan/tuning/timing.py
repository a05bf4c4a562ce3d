"""Interleaved timing: contenders take turns, and only what they took in the same round is compared."""

import contextlib
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

BEYOND_NOISE = 1.05  # times as fast, in the median round


class Contender(NamedTuple):
    """call: what is timed, inside the block that `context` makes."""

    call: Callable[[], Any]
    context: Callable[[], contextlib.AbstractContextManager]


class Timing(NamedTuple):
    """ours, theirs: seconds per call, medians. speedup: theirs / ours, median of the rounds; least: 20th percentile."""

    ours: float
    theirs: float
    speedup: float
    least: float

    @property
    def faster(self) -> bool:
        """Whether ours is faster beyond noise: by 5 % in the median round, and in four rounds of five at all."""
        return self.speedup >= BEYOND_NOISE and self.least >= 1.0


def compare(ours: Contender, theirs: Contender, device: torch.device, rounds: int, seconds: float) -> Timing:
    """Both in turn, the second first in every other round; each turn a block of calls between two synchronisations."""
    both = ours, theirs
    calls = [_calls(each, device, seconds) for each in both]
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds):
        for i in (0, 1) if number % 2 == 0 else (1, 0):
            taken[i].append(_block(both[i], calls[i], device) / calls[i])
    ratios = sorted(other / mine for mine, other in zip(*taken, strict=True))
    least = ratios[round(0.2 * (rounds - 1))]
    return Timing(statistics.median(taken[0]), statistics.median(taken[1]), statistics.median(ratios), least)


def synchronise(device: torch.device) -> None:
    """Wait for the device; a CPU has nothing to wait for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _calls(contender: Contender, device: torch.device, seconds: float) -> int:
    """How many calls take `seconds`; the first, which may compile, does not count."""
    _block(contender, 1, device)
    calls = 1
    while (taken := _block(contender, calls, device)) < seconds:
        calls = max(2 * calls, min(10 * calls, round(1.1 * calls * seconds / max(taken, 1e-7))))
    return calls


def _block(contender: Contender, calls: int, device: torch.device) -> float:
    with contender.context():
        synchronise(device)
        start = time.perf_counter()
        for _ in range(calls):
            contender.call()
        synchronise(device)
        return time.perf_counter() - start
