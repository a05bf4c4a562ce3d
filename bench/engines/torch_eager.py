"""Stock torch, eagerly: NCHW, channels_last, batch norms folded or not; and the base of the other torch engines."""

from typing import Any

import numpy as np
import torch
from fastgan.bench.network import Arrays
from fastgan.bench.step import TrainingStep
from fastgan.bench.stock import build
from torch import nn


class GeneratorEngine:
    """Images from latents in evaluation."""

    def __init__(self, job: dict[str, Any], arrays: Arrays):
        torch.set_num_threads(job["threads"])
        self.inputs = [torch.from_numpy(arrays[name]) for name in ("z", "c") if name in arrays]
        weights = {name[2:]: array for name, array in arrays.items() if name.startswith("g/")}
        self.run = self.model(build(job["generator"], weights, job["options"].get("layout", "nhwc")).eval(), job)

    def model(self, stock: nn.Module, job: dict[str, Any]) -> nn.Module:
        """What is timed, from the stock network with its weights."""
        return laid_out(stock, job)

    def call(self) -> torch.Tensor:
        with torch.inference_mode():
            return self.run(*self.inputs)

    def check(self) -> dict[str, np.ndarray]:
        return {"images": np.ascontiguousarray(self.call().numpy())}

    def reset(self) -> None:
        pass

    def versions(self) -> dict[str, str]:
        return {"torch": torch.__version__}


class TrainingEngine:
    """One training step of both networks."""

    def __init__(self, job: dict[str, Any], arrays: Arrays):
        torch.set_num_threads(job["threads"])
        models = []
        for letter, layers in (("g/", job["generator"]), ("d/", job["discriminator"])):
            weights = {name[2:]: array for name, array in arrays.items() if name.startswith(letter)}
            models.append(self.model(build(layers, weights, job["options"].get("layout", "nhwc")), job))
        z, x = (torch.from_numpy(arrays[name]) for name in ("z", "x"))
        if job["options"].get("layout") != "nchw":
            x = x.contiguous(memory_format=torch.channels_last)
        self.call = TrainingStep(*models, z, x, job["r1"])

    def model(self, stock: nn.Module, job: dict[str, Any]) -> nn.Module:
        return laid_out(stock, job)

    def check(self) -> dict[str, np.ndarray]:
        d_loss, g_loss = self.call()
        updates = {f"update/{name}": value.numpy() for name, value in self.call.updates().items()}
        return {"d_loss": d_loss.numpy(), "g_loss": g_loss.numpy(), **updates}

    def reset(self) -> None:
        self.call.reset()

    def versions(self) -> dict[str, str]:
        return {"torch": torch.__version__}


def laid_out(model: nn.Module, job: dict[str, Any]) -> nn.Module:
    if job["options"]["layout"] == "nhwc":
        return model.to(memory_format=torch.channels_last)
    return model


def prepare(job: dict[str, Any], arrays: Arrays) -> GeneratorEngine | TrainingEngine:
    return (GeneratorEngine if job["task"] == "generator" else TrainingEngine)(job, arrays)
