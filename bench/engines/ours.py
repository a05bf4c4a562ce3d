"""fastgan: the frozen generator or the model itself in evaluation, and the stock training loop on fused modules."""

from typing import Any

import torch
from fastgan.bench.engines.torch_eager import GeneratorEngine, TrainingEngine, laid_out
from fastgan.bench.network import Arrays
from torch import nn

from fastgan._version import __version__
from fastgan.frozen import freeze
from fastgan.fusion import fuse_
from fastgan.models import Generator


class FrozenEngine(GeneratorEngine):
    """Option "batch_invariant": as of `freeze`."""

    def model(self, stock: nn.Module, job: dict[str, Any]) -> nn.Module:
        generator = Generator(**job["model"])
        load(generator, stock)
        batch_invariant = job["options"].get("batch_invariant", True)
        return freeze(generator.to(self.place.device), "float", batch_invariant, self.place.precision)

    def versions(self) -> dict[str, str]:
        return {**super().versions(), "fastgan": __version__}


class ModelEngine(GeneratorEngine):
    """`fastgan.models.Generator` as it is after training, in evaluation."""

    def model(self, stock: nn.Module, job: dict[str, Any]) -> nn.Module:
        generator = Generator(**job["model"]).eval()
        load(generator, stock)
        return laid_out(generator.to(self.place.device), job)

    def versions(self) -> dict[str, str]:
        return {**super().versions(), "fastgan": __version__}


class FusedTraining(TrainingEngine):
    def model(self, stock: nn.Module, job: dict[str, Any]) -> nn.Module:
        return fuse_(laid_out(stock, job))

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


def prepare(job: dict[str, Any], arrays: Arrays) -> FrozenEngine | ModelEngine | FusedTraining:
    """Option "frozen", False: the model itself."""
    if job["task"] != "generator":
        return FusedTraining(job, arrays)
    return (FrozenEngine if job["options"].get("frozen", True) else ModelEngine)(job, arrays)
