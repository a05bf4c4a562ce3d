"""What a user may choose about a benchmark."""

import os
from dataclasses import dataclass

import torch
from fastgan.bench import engines
from fastgan.bench.engines import Backend, is_ours, on_cuda

from fastgan.device import DEVICES, PRECISIONS
from fastgan.models.sizes import check_size

SUITES = ("quick", "generator", "train-step", "memory", "generate", "ops", "gpu-model")
WAITING = ("passive", "default")
# The others: writing to disk is the CPU's, and floors are computed.
_ON_CUDA = ("quick", "generator", "train-step", "memory", "ops")
_MODEL = "gpu-model"  # computes for a precision and runs nothing at it


@dataclass(frozen=True)
class Options:
    """
    suite: one of SUITES; batch: images a call, None for the suite's own sizes; rounds: turns of each engine, None for
    the suite's own number; threads: of every engine; peers: names of backends, or "installed" or "all";
    peer_python: interpreter for TensorFlow and JAX; size, width: of the images and of the networks; waiting: how idle
    threads wait, on a GPU the first of them; seconds: least length of a timed block; precision: one of PRECISIONS,
    None for fp32, and fp16 of suite gpu-model; half precision is for a GPU. device: "cpu", "cuda" or "auto", which
    takes a GPU where there is one and the suite runs on it.
    """

    suite: str = "quick"
    batch: int | None = None
    rounds: int | None = None
    threads: int = 0
    peers: str = "installed"
    peer_python: str | None = None
    size: tuple[int, int] = (64, 64)
    width: int = 64
    waiting: tuple[str, ...] = WAITING
    seconds: float = 0.3
    precision: str | None = None
    device: str = "cpu"

    def __post_init__(self):
        if self.suite not in SUITES:
            raise ValueError(f"bench: suite must be one of {', '.join(SUITES)}, got {self.suite!r}")
        if self.precision not in (None, *PRECISIONS):
            raise ValueError(f"bench: precision must be one of {', '.join(PRECISIONS)}, got {self.precision!r}")
        if self.device not in DEVICES:
            raise ValueError(f"bench: device must be one of {', '.join(DEVICES)}, got {self.device!r}")
        self._settle("threads", self.threads or available_threads())
        self._settle("precision", self.precision or ("fp16" if self.suite == _MODEL else "fp32"))
        if self.device == "auto":
            self._settle("device", "cuda" if self.suite in _ON_CUDA and torch.cuda.is_available() else "cpu")
        if self.device == "cuda":
            if self.suite not in _ON_CUDA:
                raise ValueError(f"bench: suite {self.suite} is for device cpu alone, got 'cuda'")
            self._settle("waiting", self.waiting[:1])  # who waits there is one thread, for the GPU
        elif self.precision != "fp32" and self.suite != _MODEL:
            raise ValueError(
                f"bench: precision must be fp32 on the CPU, got {self.precision!r}: half precision is timed on a GPU, "
                "--device cuda"
            )
        check_size(self.size)
        peer_names(self.peers, self.device)

    def _settle(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)


def backends_on(device: str) -> tuple[Backend, ...]:
    """The rows of all that can be timed on this device, ours first."""
    return on_cuda.BACKENDS if device == "cuda" else engines.BACKENDS


def peer_names(text: str, device: str = "cpu") -> tuple[str, ...]:
    """The backends that `--peers` names, ours left out. ValueError for one that the device does not have."""
    rows = {backend.name: backend for backend in backends_on(device) if not is_ours(backend.name)}
    peers = tuple(rows)
    if text == "all":
        return peers
    if text == "installed":
        return tuple(name for name in peers if not rows[name].rare)
    if text == "none":
        return ()
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    unknown = [name for name in names if name not in peers]
    if unknown or not names:
        raise ValueError(
            f"bench: peers must be installed, all, none or some of {', '.join(peers)}, "
            f"got {unknown[0] if unknown else text!r}"
        )
    return names


def available_threads() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
