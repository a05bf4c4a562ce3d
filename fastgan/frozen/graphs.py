"""CUDA graphs of a frozen generator: launches for a number of images are recorded at its second call, then replayed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

KEPT = 8  # numbers of images whose graphs are kept, the latest used

Call = Callable[[Tensor, "Tensor | None"], Tensor]
_recording = threading.Lock()  # torch records one graph at a time in a process


def is_captured(x: Tensor) -> bool:
    """Whether somebody records what is launched on x's device now."""
    if x.device.type != "cuda":
        return False
    with torch.cuda.device(x.device):
        return torch.cuda.is_current_stream_capturing()


@dataclass
class _Recorded:
    """A graph reads and writes where it was recorded: latents, labels and images come and go by copies."""

    graph: torch.cuda.CUDAGraph
    z: Tensor
    c: Tensor | None
    images: Tensor

    def replay(self, z: Tensor, c: Tensor | None) -> Tensor:
        with torch.no_grad():
            self.z.copy_(z)
            if self.c is not None:
                self.c.copy_(c)
            self.graph.replay()
            return self.images.clone()


class Graphs:
    """Runs a call through its graph where there is a CUDA device; elsewhere, and while somebody records, as it is.

    So is a call with a derivative, which only the operator can refuse, and the first one with its number of images,
    device and stream: it loads and sets up what must not be recorded, and a batch that comes once is not worth a graph.
    On one stream a copy into a graph's memory waits for the replay before, and nothing waits for the host. Recording
    waits for the device, once.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple, _Recorded | None] = OrderedDict()  # None: called once
        self._lock = threading.Lock()

    def run(self, call: Call, z: Tensor, c: Tensor | None) -> Tensor:
        """call(z, c), as a new tensor."""
        if z.device.type != "cuda" or not len(z) or is_captured(z):
            return call(z, c)
        if torch.is_grad_enabled() and z.requires_grad:
            return call(z, c)
        with torch.cuda.device(z.device), self._lock:
            key = len(z), z.device, torch.cuda.current_stream().cuda_stream
            called = key in self._kept
            recorded = self._kept.setdefault(key, None)
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            if not called:
                return call(z, c)
            if recorded is None:
                recorded = self._kept[key] = _record(call, z, c)
            return recorded.replay(z, c)


def _record(call: Call, z: Tensor, c: Tensor | None) -> _Recorded:
    # Tensors of inference mode could not be written to outside of it.
    with _recording, torch.inference_mode(False), torch.no_grad():
        z, c = torch.zeros_like(z), None if c is None else torch.zeros_like(c)
        graph = torch.cuda.CUDAGraph()
        # On a stream of this device, which torch's own for recording need not be. Other threads may allocate meanwhile.
        with torch.cuda.graph(graph, stream=torch.cuda.Stream(), capture_error_mode="thread_local"):
            images = call(z, c)
    return _Recorded(graph, z, c, images)
