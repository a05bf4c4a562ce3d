"""One thing to time: the same work for every engine, its float64 answer, and its operations by definition."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from fastgan.bench import gate
from fastgan.bench.engines import Backend
from fastgan.bench.network import Arrays, fold


@dataclass(frozen=True)
class Case:
    """
    suite, name, batch: as in records; task: what a backend must be able to do; job: for the engines, with the layers
    of "generator" (and "discriminator"); weights: of the generator "g/*" and discriminator "d/*"; inputs: the rest;
    flops: of one image by direct convolution; expected: computes the answer in float64; device, precision: of all
    engines.
    """

    suite: str
    name: str
    batch: int
    task: str
    job: dict[str, Any]
    weights: Arrays
    inputs: Arrays
    flops: int
    expected: Callable[["Case"], dict[str, np.ndarray]] = field(repr=False)
    device: str = "cpu"
    precision: str = "fp32"

    @property
    def tolerance(self) -> gate.Tolerance:
        """What the gate allows."""
        return gate.tolerance(self.precision, operator=self.suite == "ops")

    def work_for(self, backend: Backend, threads: int, waiting: str) -> tuple[dict[str, Any], Arrays]:
        """What a backend is given: folded weights where it wants them and the work is evaluation."""
        job = {**self.job, "task": self.task, "batch": self.batch, "threads": threads, "waiting": waiting}
        job |= {"device": self.device, "precision": self.precision}
        weights = self.weights
        if backend.form == "folded" and self.task == "generator":
            plain = {name[2:]: array for name, array in weights.items()}
            job["generator"], plain = fold(self.job["generator"], plain)
            weights = {f"g/{name}": array for name, array in plain.items()}
        return job, {**weights, **self.inputs}
