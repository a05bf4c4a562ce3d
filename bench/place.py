"""Where an engine of torch computes, at what precision, and with which of torch's switches."""

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastgan import backends
from fastgan.device import DTYPES, autocast, resolve_device


class Place:
    """The device and the precision that a job names; float32 on the CPU where it names none.

    On CUDA a float32 product is one of float32: TF32 is off for everybody. `options` of a backend: "cudnn_benchmark"
    lets cuDNN choose by timing, "backend" forces one of fastgan's.
    """

    def __init__(self, job: dict[str, Any]):
        self.device = resolve_device(job.get("device", "cpu"))
        self.precision = job.get("precision", "fp32")
        self.dtype = DTYPES[self.precision]
        self.backend = job["options"].get("backend")
        if self.device.type == "cuda":
            torch.cuda.empty_cache()  # what the case before left behind, the other engines may need
            forbid_tf32()
            torch.backends.cudnn.benchmark = job["options"].get("cudnn_benchmark", False)

    def put(self, array: np.ndarray) -> Tensor:
        """The array as a tensor of this place, its dtype kept."""
        return torch.from_numpy(array).to(self.device)

    def autocast(self) -> contextlib.AbstractContextManager:
        return autocast(self.device, self.precision)

    def forced(self, call: Callable[[], Any]) -> Callable[[], Any]:
        """`call` with fastgan's backend forced, if one is."""
        if self.backend is None:
            return call

        def forced() -> Any:
            with backends.use_backend(self.backend):
                return call()

        return forced

    def synchronise(self) -> None:
        """Wait for the work that was launched."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def forbid_tf32() -> None:
    """Let torch's libraries, and fastgan's kernels, which ask torch, multiply float32 as float32 in this process."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False


def fetched(tensor: Tensor) -> np.ndarray:
    """The numbers of a tensor, those of half precision as float32."""
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype.itemsize < 4 else tensor).contiguous().numpy()
