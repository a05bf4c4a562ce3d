"""The conditions that a number travels with: the machine, its limits in this run, and the versions."""

import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

import torch
from fastgan.bench import cuda_device

from fastgan import native
from fastgan._version import __version__

_TRIAD_FLOATS = 1 << 25  # 128 MiB an array: more than any cache here
_PEAK_SECONDS = 0.1


def machine(threads: int, device: str = "cpu", precision: str = "fp32") -> dict[str, Any]:
    """Facts and measured limits; those of the CPU are None where the GPU, "gpu", computes.

    `versions` grows as engines answer.
    """
    on_cpu = device == "cpu"
    return {
        "cpu": cpu_name(),
        "capability": None if native.ops_missing() else native.cpu_capability(),
        "threads": threads,
        "torch": torch.__version__,
        "versions": {"fastgan": __version__},
        "python": platform.python_version(),
        "system": platform.platform(),
        "commit": commit(),
        "load_before": _load(),
        "load_after": None,
        "fma_gflops": fma_gflops(threads) if on_cpu else None,
        "triad_gb_per_s": triad_gb_per_s(threads) if on_cpu else None,
        "gpu": None if on_cpu else cuda_device.facts(precision),
    }


def look_again(machine: dict[str, Any]) -> None:
    """Measure the peak once more: a neighbour that took a core at the start would flatter every share of it."""
    if machine.get("fma_gflops"):
        machine["fma_gflops"] = max(machine["fma_gflops"], fma_gflops(machine["threads"], 3))
    if machine.get("gpu"):
        cuda_device.look_again(machine["gpu"])
    machine["load_after"] = _load()


def fma_gflops(threads: int, tries: int = 15) -> float | None:
    """Multiply-adds of float32 in registers, all threads together, with the capability in force; the best try."""
    host = native.host()
    if host is None or not hasattr(host, "fma_peak"):
        return None
    return max(host.fma_peak(threads, _PEAK_SECONDS) for _ in range(tries)) / 1e9


def _load() -> float | None:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def triad_gb_per_s(threads: int) -> float:
    """a = b + s * c over arrays that no cache holds, three arrays counted; best of 6."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        a, b, c = (torch.ones(_TRIAD_FLOATS) for _ in range(3))
        best = float("inf")
        for _ in range(6):
            start = time.perf_counter()
            torch.add(b, c, alpha=3.0, out=a)
            best = min(best, time.perf_counter() - start)
    finally:
        torch.set_num_threads(before)
    return 3 * a.nbytes / best / 1e9


def cpu_name() -> str:
    try:
        with open("/proc/cpuinfo") as f:
            return next(line.partition(":")[2].strip() for line in f if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def commit() -> str | None:
    """The commit that runs, with a + where files differ from it; None outside a checkout."""
    folder = Path(__file__).resolve().parents[1]
    if not (folder / ".git").exists():
        return None
    try:
        head, changed = (
            subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=10, check=True)
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return head.stdout.strip()[:12] + ("+" if changed.stdout.strip() else "")
