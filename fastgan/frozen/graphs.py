"""CUDA graphs of a frozen generator: its launches are recorded once for each number of images, and then replayed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

KEPT = 8  # numbers of images whose graphs are kept, the latest used

Call = Callable[[Tensor, "Tensor | None"], Tensor]


@dataclass
class _Recorded:
    """A graph reads and writes where it was recorded: latents, labels and images come and go by copies."""

    graph: torch.cuda.CUDAGraph
    z: Tensor
    c: Tensor | None
    images: Tensor


class Graphs:
    """Runs a call through its graph where there is a CUDA device; elsewhere, and while somebody records, as it is.

    A graph is kept for each number of images, device and stream: on one stream a copy into it waits for the replay
    before, and nothing waits for the host. Recording waits for the device, once.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple, _Recorded] = OrderedDict()
        self._lock = threading.Lock()

    def run(self, call: Call, z: Tensor, c: Tensor | None) -> Tensor:
        """call(z, c), as a new tensor."""
        if z.device.type != "cuda" or not len(z) or torch.cuda.is_current_stream_capturing():
            return call(z, c)
        with torch.cuda.device(z.device), self._lock:
            key = len(z), z.device, torch.cuda.current_stream().cuda_stream
            recorded = self._kept.get(key)
            if recorded is None:
                recorded = self._kept[key] = _record(call, z, c)
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            recorded.z.copy_(z)
            if recorded.c is not None:
                recorded.c.copy_(c)
            recorded.graph.replay()
            return recorded.images.clone()


def _record(call: Call, z: Tensor, c: Tensor | None) -> _Recorded:
    z, c = torch.zeros_like(z), None if c is None else torch.zeros_like(c)
    # What a first call loads and sets up is not to be recorded.
    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        call(z, c)
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        images = call(z, c)
    return _Recorded(graph, z, c, images)
