"""Device and precision of a run: names a user types, turned into torch's objects."""

import contextlib

import torch

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("fp32", "bf16", "fp16")

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def resolve_device(name: str = "auto") -> torch.device:
    """The device called `name`: `auto` is CUDA where torch sees one, else the CPU.

    Raises:
        ValueError: the name is unknown, or `cuda` is asked for where torch sees no CUDA device.
    """
    kind = name.split(":")[0]
    if kind not in DEVICES:
        raise ValueError(f"device must be one of {', '.join(DEVICES)}, got {name!r}")
    if kind == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError("device 'cuda' is not available: torch sees no CUDA device here; use --device cpu")
    return torch.device(name)


def autocast(device: torch.device, precision: str = "fp32") -> contextlib.AbstractContextManager:
    """Context in which convolutions and linear layers run at `precision`; `fp32` changes nothing.

    Raises:
        ValueError: the precision is unknown.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=DTYPES[precision])
