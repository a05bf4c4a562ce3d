"""fastgan: the frozen generator, and the stock training loop on fused modules."""

from typing import Any

import torch
from fastgan.bench.engines.torch_eager import GeneratorEngine, TrainingEngine
from fastgan.bench.network import Arrays
from torch import nn

from fastgan._version import __version__
from fastgan.frozen import freeze
from fastgan.fusion import fuse_
from fastgan.models import Generator


class FrozenEngine(GeneratorEngine):
    def model(self, stock: nn.Module, job: dict[str, Any]) -> nn.Module:
        generator = Generator(**job["model"])
        load(generator, stock)
        return freeze(generator, output="float")

    def versions(self) -> dict[str, str]:
        return {**super().versions(), "fastgan": __version__}


class FusedTraining(TrainingEngine):
    def model(self, stock: nn.Module, job: dict[str, Any]) -> nn.Module:
        return fuse_(stock)

    def versions(self) -> dict[str, str]:
        return {**super().versions(), "fastgan": __version__}


def load(generator: nn.Module, stock: nn.Module) -> None:
    """Give our generator the weights of the stock one: the same tensors in the same order under other names."""
    ours, theirs = (
        [(name, value) for name, value in model.state_dict().items() if not name.endswith("num_batches_tracked")]
        for model in (generator, stock)
    )
    with torch.no_grad():
        for (_, mine), (_, value) in zip(ours, theirs, strict=True):
            mine.copy_(value)


def prepare(job: dict[str, Any], arrays: Arrays) -> FrozenEngine | FusedTraining:
    return (FrozenEngine if job["task"] == "generator" else FusedTraining)(job, arrays)
