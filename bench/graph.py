"""A call as a CUDA graph: recorded once, then launched as a whole."""

from collections.abc import Callable
from typing import Any

import torch

_WARM = 3


def captured(call: Callable[[], Any], device: torch.device) -> Callable[[], Any]:
    """A call that replays what `call` launches, on the same tensors; it returns the tensors of the recording.

    `call` is called a few times first, on a stream of its own as a capture needs it, so that libraries have chosen
    their algorithms: whoever keeps a state resets it afterwards. ValueError on any device but CUDA.
    """
    if device.type != "cuda":
        raise ValueError(f"a CUDA graph needs a CUDA device, got {device.type}")
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(_WARM):
            call()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        result = call()

    def replay() -> Any:
        graph.replay()
        return result

    return replay
