"""The benchmarked generator as an ONNX file, for the runtimes that read one."""

import contextlib
import io
import warnings
from pathlib import Path
from typing import Any

import torch
from fastgan.bench.network import Arrays
from fastgan.bench.stock import build
from torch import Tensor, nn


class _AtPrecision(nn.Module):
    """A network in `dtype` from float32 latents to float32 images."""

    def __init__(self, model: nn.Module, dtype: torch.dtype):
        super().__init__()
        self.model, self.dtype = model.to(dtype), dtype

    def forward(self, z: Tensor, *labels: Tensor) -> Tensor:
        return self.model(z.to(self.dtype), *labels).float()


def write_onnx(path: Path, job: dict[str, Any], arrays: Arrays, dtype: torch.dtype = torch.float32) -> dict[str, Any]:
    """Write the folded generator with a fixed batch, its weights and maps in `dtype`; the inputs by name."""
    inputs = {name: arrays[name] for name in ("z", "c") if name in arrays}
    weights = {name[2:]: array for name, array in arrays.items() if name.startswith("g/")}
    model = build(job["generator"], weights, layout="nchw").eval()
    if dtype != torch.float32:
        model = _AtPrecision(model, dtype)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            tuple(torch.from_numpy(array) for array in inputs.values()),
            str(path),
            input_names=list(inputs),
            output_names=["images"],
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    return inputs
