"""What a user may choose about a benchmark."""

import os
from dataclasses import dataclass

from fastgan.bench.engines import BACKENDS, BY_NAME, OURS

from fastgan.models.sizes import check_size

SUITES = ("quick", "generator", "train-step", "memory", "generate", "ops", "gpu-model")
PRECISIONS = ("fp32", "fp16", "bf16")
WAITING = ("passive", "default")


@dataclass(frozen=True)
class Options:
    """
    suite: one of SUITES; batch: images a call, None for the suite's own sizes; rounds: turns of each engine, None for
    the suite's own number; threads: of every engine; peers: names of backends, or "installed" or "all";
    peer_python: interpreter for TensorFlow and JAX; size, width: of the images and of the networks; waiting: how idle
    threads wait; seconds: least length of a timed block; precision: one of PRECISIONS, of suite gpu-model alone.
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
    precision: str = "fp16"

    def __post_init__(self):
        if self.suite not in SUITES:
            raise ValueError(f"bench: suite must be one of {', '.join(SUITES)}, got {self.suite!r}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"bench: precision must be one of {', '.join(PRECISIONS)}, got {self.precision!r}")
        object.__setattr__(self, "threads", self.threads or available_threads())
        check_size(self.size)
        peer_names(self.peers)


def peer_names(text: str) -> tuple[str, ...]:
    """The backends that `--peers` names, ours left out. ValueError for one that does not exist."""
    peers = tuple(backend.name for backend in BACKENDS if backend.name != OURS)
    if text == "all":
        return peers
    if text == "installed":
        return tuple(name for name in peers if not BY_NAME[name].rare)
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
