"""Engines that are not there, and records that were never measured."""

import numpy as np
import pytest
from fastgan.bench.engines import OURS, Backend
from fastgan.bench.process import EngineError


class FakeEngine:
    """In this process: gives `outputs`, and the next of `seconds` whenever it is timed; writes down its turns."""

    def __init__(self, name, turns, outputs=None, seconds=(0.1,), tasks=("generator",), fails=None):
        self.backend = Backend(name, "none", tasks)
        self.versions = {}
        self.turns, self.outputs, self.fails = turns, outputs, fails
        self.seconds = list(seconds)

    def prepare(self, job, arrays):
        if self.fails:
            raise EngineError(self.fails)

    def check(self):
        return self.outputs

    def time(self, discard, seconds):
        self.turns.append(self.backend.name)
        value = self.seconds.pop(0) if len(self.seconds) > 1 else self.seconds[0]
        if value is None:
            raise KeyboardInterrupt
        return value


@pytest.fixture
def fake_engine():
    return FakeEngine


@pytest.fixture
def images():
    return {"images": np.linspace(-1, 1, 48).reshape(1, 3, 4, 4)}


@pytest.fixture
def result():
    """A result from (case, backend, images a second or None) rows."""

    def make(*rows):
        records = [
            {
                "suite": "generator",
                "case": case,
                "batch": 64,
                "backend": backend,
                "waiting": "passive",
                "img_per_s": speed and {"p20": 0.9 * speed, "p50": speed, "p80": 1.1 * speed},
                "best_peer": None,
                "ratio_to_best_peer": None,
                "gflop_per_image": None,
                "roofline_fraction": None,
                "max_rel_err": 1e-6,
                "refused": None if speed else "wrong: images differ",
            }
            for case, backend, speed in rows
        ]
        return {"format": "bench/1", "records": records}

    return make


@pytest.fixture
def ours():
    return OURS
