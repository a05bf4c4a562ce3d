"""Scratch memory of reductions: counters that are zero between launches, so that no launch has to clear them.

The last arriver of a kernel sets its counters back to zero. One block of them per (device, stream) is enough as
long as launches on a stream run one after another, which CUDA promises, and every launch runs to its end: after a
failed one the context is lost anyway. While a stream is captured into a graph, its launches get counters of their
own, cleared by a node of the graph: a graph may be replayed on another stream, beside eager launches or beside
another graph, and memory that capture allocates belongs to the graph.
"""

import torch
from torch import Tensor

_LEAST = 4096

_counters: dict[tuple[torch.device, int], Tensor] = {}


def counters(count: int, device: torch.device) -> Tensor:
    """int32 zeros, `count` of them or more, for one launch on the current stream of `device`."""
    stream = 0
    if device.type == "cuda":
        with torch.cuda.device(device):
            if torch.cuda.is_current_stream_capturing():
                return torch.zeros(count, dtype=torch.int32, device=device)
            stream = torch.cuda.current_stream().cuda_stream
    have = _counters.get((device, stream))
    if have is None or have.numel() < count:
        have = torch.zeros(max(count, _LEAST), dtype=torch.int32, device=device)
        _counters[device, stream] = have
    return have


def group_size(tiles: int) -> int:
    """Tiles of one group of the first level: the square root, so that both levels merge equally many."""
    return max(1, round(tiles**0.5))
