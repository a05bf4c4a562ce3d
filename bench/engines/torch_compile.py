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
        with torch.no_grad(), self.place.autocast():
            return self.run(*self.inputs).float()


class CompiledTraining(_Compiled, TrainingEngine):
    def __init__(self, job: dict[str, Any], arrays: Arrays):
        super().__init__(job, arrays)
        if self.place.device.type == "cuda" and job["options"]["mode"] == "max-autotune":
            self.call = self._graphed_step

    def _graphed_step(self) -> tuple[torch.Tensor, torch.Tensor]:
        # This mode replays CUDA graphs: they may use again what the step before has left.
        torch.compiler.cudagraph_mark_step_begin()
        return self.step()


def prepare(job: dict[str, Any], arrays: Arrays) -> CompiledGenerator | CompiledTraining:
    engine = (CompiledGenerator if job["task"] == "generator" else CompiledTraining)(job, arrays)
    for _ in range(3 if engine.place.device.type == "cuda" else 1):  # CUDA graphs are recorded in the second call
        engine.call()  # compiles here, not in a round
    engine.reset()
    return engine
