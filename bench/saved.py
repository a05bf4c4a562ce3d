"""Bytes that autograd keeps for backward passes: each block of memory once, parameters left out."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor


def peak_saved_bytes(step: Callable[[], object], parameters: Iterable[Tensor]) -> int:
    """The most bytes that autograd keeps at one moment while `step` runs."""
    meter = _Meter({parameter.untyped_storage().data_ptr() for parameter in parameters})
    with torch.autograd.graph.saved_tensors_hooks(meter.pack, lambda held: held.tensor):
        step()
    return meter.peak


class _Meter:
    def __init__(self, ignored: set[int]):
        self.ignored = ignored
        self.holders: dict[int, int] = {}
        self.now = self.peak = 0

    def pack(self, tensor: Tensor) -> "_Held":
        return _Held(tensor.detach(), self)  # detached: a saved output must not hold the graph that holds it

    def hold(self, tensor: Tensor, change: int) -> None:
        storage = tensor.untyped_storage()
        key = storage.data_ptr()
        if key in self.ignored:
            return
        count = self.holders.get(key, 0) + change
        self.holders[key] = count
        if (change, count) in ((1, 1), (-1, 0)):
            self.now += change * storage.nbytes()
            self.peak = max(self.peak, self.now)


class _Held:
    """A saved tensor, counted for as long as the graph keeps it."""

    def __init__(self, tensor: Tensor, meter: _Meter):
        self.tensor = tensor
        self.meter = meter
        meter.hold(tensor, 1)

    def __del__(self):
        self.meter.hold(self.tensor, -1)
