"""Stock torch, eagerly: NCHW, channels_last, batch norms folded or not; and the base of the other torch engines."""

from typing import Any

import numpy as np
import torch
from fastgan.bench.graph import captured
from fastgan.bench.network import Arrays
from fastgan.bench.place import Place, fetched
from fastgan.bench.step import TrainingStep
from fastgan.bench.stock import build
from torch import nn


class TorchEngine:
    """What every engine in torch has. Options: those of `Place`, and "graph" for a CUDA graph of the timed call."""

    def __init__(self, job: dict[str, Any]):
        torch.set_num_threads(job["threads"])
        self.place = Place(job)

    def model(self, stock: nn.Module, job: dict[str, Any]) -> nn.Module:
        """What is timed, from a stock network with its weights, which is where it will run."""
        return laid_out(stock, job)

    def synchronise(self) -> None:
        self.place.synchronise()

    def versions(self) -> dict[str, str]:
        return {"torch": torch.__version__}


class GeneratorEngine(TorchEngine):
    """Float32 images from latents in evaluation; option "stored": numbers lie in memory at the precision."""

    def __init__(self, job: dict[str, Any], arrays: Arrays):
        super().__init__(job)
        self.inputs = [self.place.put(arrays[name]) for name in ("z", "c") if name in arrays]
        weights = {name[2:]: array for name, array in arrays.items() if name.startswith("g/")}
        stock = build(job["generator"], weights, job["options"].get("layout", "nhwc")).eval().to(self.place.device)
        if job["options"].get("stored"):
            stock = stock.to(self.place.dtype)
            self.inputs[0] = self.inputs[0].to(self.place.dtype)
        self.run = self.model(stock, job)
        if self.place.backend:
            self.call = self.place.forced(self.call)
        if job["options"].get("graph"):
            self.call = captured(self.call, self.place.device)

    def call(self) -> torch.Tensor:
        with torch.inference_mode(), self.place.autocast():
            return self.run(*self.inputs).float()

    def check(self) -> dict[str, np.ndarray]:
        return {"images": fetched(self.call())}

    def reset(self) -> None:
        pass


class TrainingEngine(TorchEngine):
    """One training step of both networks."""

    def __init__(self, job: dict[str, Any], arrays: Arrays):
        super().__init__(job)
        layout, graph = job["options"].get("layout", "nhwc"), job["options"].get("graph", False)
        models = []
        for letter, layers in (("g/", job["generator"]), ("d/", job["discriminator"])):
            weights = {name[2:]: array for name, array in arrays.items() if name.startswith(letter)}
            models.append(self.model(build(layers, weights, layout).to(self.place.device), job))
        z, x = (self.place.put(arrays[name]) for name in ("z", "x"))
        if layout != "nchw":
            x = x.contiguous(memory_format=torch.channels_last)
        self.step = TrainingStep(*models, z, x, job["r1"], self.place.precision, capturable=graph)
        self.call = self.place.forced(self.step)
        if graph:
            self.call = captured(self.call, self.place.device)
            self.reset()

    def check(self) -> dict[str, np.ndarray]:
        d_loss, g_loss = self.call()
        updates = {f"update/{name}": fetched(value) for name, value in self.step.updates().items()}
        return {"d_loss": fetched(d_loss), "g_loss": fetched(g_loss), **updates}

    def reset(self) -> None:
        self.step.reset()


def laid_out(model: nn.Module, job: dict[str, Any]) -> nn.Module:
    if job["options"].get("layout") == "nhwc":
        return model.to(memory_format=torch.channels_last)
    return model


def prepare(job: dict[str, Any], arrays: Arrays) -> GeneratorEngine | TrainingEngine:
    return (GeneratorEngine if job["task"] == "generator" else TrainingEngine)(job, arrays)
