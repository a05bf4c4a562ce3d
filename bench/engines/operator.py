"""One pass of one chain operator of fastgan, on a forced backend."""

from typing import Any

import numpy as np
import torch
from fastgan.bench.network import Arrays
from fastgan.bench.place import Place, fetched
from torch import Tensor

from fastgan import functional
from fastgan._version import __version__

SLOPE = 0.2


def forward(layer: dict[str, Any], x: Tensor, weight: Tensor, scale: Tensor | None, shift: Tensor | None) -> Any:
    """The operator of `layer`, whose keys are those of `fastgan.models.layers`."""
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
        self.job, self.place = job, Place(job)
        tensors = {name: self._put(name, array) for name, array in arrays.items()}
        self.x, self.weight = tensors["x"].requires_grad_(), tensors["weight"].requires_grad_()
        self.rows = tensors.get("scale"), tensors.get("shift")
        if job["pass"] != "forward":
            self.output = self.place.forced(self._forward)().output
            self.grad_output = tensors["grad_output"]
        self.call = self.place.forced(self._call)

    def _put(self, name: str, array: np.ndarray) -> Tensor:
        """Maps and weights have the precision of the job, the vectors beside them float32."""
        tensor = self.place.put(array)
        return _nhwc(tensor if name in ("scale", "shift") else tensor.to(self.place.dtype))

    def _forward(self) -> Any:
        return forward(self.job["layer"], self.x, self.weight, *self.rows)

    def _call(self) -> Any:
        if self.job["pass"] == "forward":
            with torch.no_grad():
                return self._forward()
        wanted = self.x if self.job["pass"] == "input grad" else self.weight
        return torch.autograd.grad(self.output, wanted, self.grad_output, retain_graph=True)

    def check(self) -> dict[str, np.ndarray]:
        return named(self.call(), self.job)

    def reset(self) -> None:
        pass

    def synchronise(self) -> None:
        self.place.synchronise()

    def versions(self) -> dict[str, str]:
        return {"torch": torch.__version__, "fastgan": __version__}


def named(result: Any, job: dict[str, Any]) -> dict[str, np.ndarray]:
    """What a call gives, by name."""
    names = ("output", "mean", "var") if job["pass"] == "forward" else ("grad",)
    return {name: fetched(value) for name, value in zip(names, result, strict=True) if value is not None}


def _nhwc(tensor: Tensor) -> Tensor:
    # `contiguous` would leave a map of one channel, the same memory in both formats, the strides of NCHW.
    return tensor.to(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


def prepare(job: dict[str, Any], arrays: Arrays) -> Engine:
    return Engine(job, arrays)
