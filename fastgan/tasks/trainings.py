"""The trainings of a study: side by side, one thread each; results are kept, so a killed study goes on."""

import base64
import json
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastgan.files import write_json
from fastgan.metrics.classifier import one_torch_thread
from fastgan.progress import Progress

FORMAT = "trainings/1"


@dataclass(frozen=True)
class Outcome:
    """What one training gave: `correct` bool [n], which images it classified right; `seconds` it took."""

    correct: np.ndarray
    seconds: float

    @property
    def accuracy(self) -> float:
        """Share of the test images classified right, in [0, 1]."""
        return float(self.correct.mean())


class Outcomes:
    """The finished trainings in one file, valid for one `key` (everything that can change a result)."""

    def __init__(self, path: Path, key: dict[str, Any]) -> None:
        self._path, self._key, self._lock = path, key, threading.Lock()
        self._rows: dict[str, dict[str, Any]] = {}
        try:
            stored = json.loads(path.read_text())
            if stored["format"] == FORMAT and stored["key"] == key:
                self._rows = stored["trainings"]
        except (OSError, ValueError, KeyError, TypeError):
            pass  # nothing usable was left: every training runs

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def get(self, name: str) -> Outcome:
        """The outcome of training `name`."""
        row = self._rows[name]
        packed = np.frombuffer(base64.b64decode(row["correct"]), np.uint8)
        return Outcome(np.unpackbits(packed, count=row["test_images"]).astype(bool), row["seconds"])

    def add(self, name: str, outcome: Outcome) -> None:
        """Keep an outcome; the file on disk is whole at every moment."""
        with self._lock:
            self._rows[name] = {
                "accuracy": outcome.accuracy,
                "seconds": round(outcome.seconds, 3),
                "test_images": len(outcome.correct),
                "correct": base64.b64encode(np.packbits(outcome.correct).tobytes()).decode(),
            }
            write_json(self._path, {"format": FORMAT, "key": self._key, "trainings": self._rows})


Training = Callable[[Progress], np.ndarray]
"""Trains, reports its steps, and returns `correct` of its test images."""


class StepCount:
    """Optimiser steps done by all threads together; `stop` ends every training soon."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._total, self._progress, self._lock = total, progress, threading.Lock()
        self._done, self._stopped = 0, False

    def add(self, steps: int, text: str = "") -> None:
        """Count `steps` more."""
        if self._stopped:
            raise _Stopped
        with self._lock:
            self._done += steps
            self._progress(self._done, self._total, text)

    def stop(self) -> None:
        """Make the next `add` of every thread raise."""
        self._stopped = True


class _Stopped(Exception):
    """Ends a training in its thread after another one failed or the user interrupted."""


def run_all(jobs: dict[str, Training], outcomes: Outcomes, *, steps: int, workers: int, count: StepCount) -> None:
    """Run every job that has no outcome yet, `workers` at a time with one torch thread each.

    On small networks one thread each gives more images per second than several threads on one training, and
    makes the result independent of how many there are. `count` is told the `steps` of every job, done now or
    before.
    """

    def work(name: str) -> None:
        started = time.monotonic()
        correct = jobs[name](lambda done, total, text: count.add(1, name))
        outcomes.add(name, Outcome(correct, time.monotonic() - started))

    todo = [name for name in jobs if name not in outcomes]
    count.add(steps * (len(jobs) - len(todo)))
    with one_torch_thread(), ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(work, name) for name in todo]
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
        except BaseException:
            count.stop()
            pool.shutdown(cancel_futures=True)
            raise


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
