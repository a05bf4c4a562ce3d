"""Fair timing: candidates take turns in one run, medians are compared, and nothing is timed before it is right."""

import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch


def interleaved(candidates: dict[str, Callable[[], Any]], rounds: int, repeats: int) -> dict[str, list[float]]:
    """Seconds per call of each candidate, one number per round: `repeats` calls at a time, taking turns."""
    for call in candidates.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for round_number in range(rounds):
        order = list(candidates.items())
        for name, call in order if round_number % 2 == 0 else reversed(order):
            start = time.perf_counter()
            for _ in range(repeats):
                call()
            seconds[name].append((time.perf_counter() - start) / repeats)
    return seconds


def summary(seconds: list[float]) -> dict[str, float]:
    """Milliseconds: median, 20th and 80th percentile."""
    ordered = sorted(seconds)
    last = len(ordered) - 1
    picked = {"p20": ordered[round(0.2 * last)], "p50": statistics.median(ordered), "p80": ordered[round(0.8 * last)]}
    return {name: 1e3 * value for name, value in picked.items()}


def machine() -> dict[str, Any]:
    """The conditions that a number travels with."""
    return {
        "cpu": _cpu_name(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo") as f:
            return next(line.partition(":")[2].strip() for line in f if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
