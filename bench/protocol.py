"""How a benchmark speaks with an engine in a process of its own: a line of JSON and arrays, both ways over pipes.

Needs numpy alone; no pickle, so that both sides may be different Pythons with different versions of numpy.
"""

import io
import json
from typing import IO, Any

import numpy as np

Message = tuple[dict[str, Any], dict[str, np.ndarray]]


def send(pipe: IO[bytes], header: dict[str, Any], arrays: dict[str, np.ndarray] | None = None) -> None:
    """Write one message."""
    body = b""
    if arrays:
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        body = buffer.getvalue()
    pipe.write(json.dumps({**header, "bytes": len(body)}).encode() + b"\n")
    pipe.write(body)
    pipe.flush()


def receive(pipe: IO[bytes]) -> Message:
    """Read one message; EOFError when the other side is gone."""
    line = pipe.readline()
    if not line.endswith(b"\n"):
        raise EOFError("the other process is gone")
    header = json.loads(line)
    size = header.pop("bytes")
    if not size:
        return header, {}
    body = pipe.read(size)
    if len(body) < size:
        raise EOFError("the other process is gone")
    with np.load(io.BytesIO(body), allow_pickle=False) as loaded:
        return header, dict(loaded)
