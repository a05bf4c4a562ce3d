"""One pass of one chain operator of fastgan, on a forced backend."""

from typing import Any

import numpy as np
import torch
from fastgan.bench.network import Arrays
from torch import Tensor

from fastgan import backends, functional
from fastgan._version import __version__

SLOPE = 0.2


def forward(layer: dict[str, Any], x: Tensor, weight: Tensor, scale: Tensor | None, shift: Tensor | None) -> Any:
    """The operator of `layer`, whose keys are those of `suites.ops.layers`."""
    operator = functional.affine_act_conv_transpose2d if layer["transposed"] else functional.affine_act_conv2d
    return operator(
        x,
        weight,
        None,
        scale,
        shift,
        activation="none" if scale is None else "leaky_relu",
        negative_slope=SLOPE,
        stride=layer["stride"],
        padding=layer["padding"],
        statistics=layer["statistics"],
    )


class Engine:
    def __init__(self, job: dict[str, Any], arrays: Arrays):
        torch.set_num_threads(job["threads"])
        self.job = job
        tensors = {name: _nhwc(torch.from_numpy(array)) for name, array in arrays.items()}
        self.x, self.weight = tensors["x"].requires_grad_(), tensors["weight"].requires_grad_()
        self.rows = tensors.get("scale"), tensors.get("shift")
        if job["pass"] != "forward":
            with self._forced():
                self.output = forward(job["layer"], self.x, self.weight, *self.rows).output
            self.grad_output = tensors["grad_output"]

    def call(self) -> Any:
        with self._forced():
            if self.job["pass"] == "forward":
                with torch.no_grad():
                    return forward(self.job["layer"], self.x, self.weight, *self.rows)
            wanted = self.x if self.job["pass"] == "input grad" else self.weight
            return torch.autograd.grad(self.output, wanted, self.grad_output, retain_graph=True)

    def check(self) -> dict[str, np.ndarray]:
        return named(self.call(), self.job)

    def reset(self) -> None:
        pass

    def versions(self) -> dict[str, str]:
        return {"torch": torch.__version__, "fastgan": __version__}

    def _forced(self) -> Any:
        return backends.use_backend(self.job["options"]["backend"])


def named(result: Any, job: dict[str, Any]) -> dict[str, np.ndarray]:
    """What a call gives, by name."""
    names = ("output", "mean", "var") if job["pass"] == "forward" else ("grad",)
    return {
        name: np.ascontiguousarray(value.detach().numpy())
        for name, value in zip(names, result, strict=True)
        if value is not None
    }


def _nhwc(tensor: Tensor) -> Tensor:
    # `contiguous` would leave a map of one channel, the same memory in both formats, the strides of NCHW.
    return tensor.to(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


def prepare(job: dict[str, Any], arrays: Arrays) -> Engine:
    return Engine(job, arrays)
