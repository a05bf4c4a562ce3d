"""torch.compile of the channels_last modules."""

from typing import Any

import torch
from fastgan.bench.engines.torch_eager import GeneratorEngine, TrainingEngine, laid_out
from fastgan.bench.network import Arrays
from torch import nn


class _Compiled:
    def model(self, stock: nn.Module, job: dict[str, Any]) -> nn.Module:
        return torch.compile(laid_out(stock, job), mode=job["options"]["mode"], dynamic=False)


class CompiledGenerator(_Compiled, GeneratorEngine):
    def call(self) -> torch.Tensor:
        with torch.no_grad():
            return self.run(*self.inputs)


class CompiledTraining(_Compiled, TrainingEngine):
    pass


def prepare(job: dict[str, Any], arrays: Arrays) -> CompiledGenerator | CompiledTraining:
    engine = (CompiledGenerator if job["task"] == "generator" else CompiledTraining)(job, arrays)
    engine.call()  # compiles here, not in a round
    engine.reset()
    return engine
