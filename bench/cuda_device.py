"""The GPU that a number was measured on, and its limits in this run: products of matrices and copies."""

import subprocess
import time
from typing import Any

import torch

from fastgan.device import DTYPES

_SIDE = 8192  # of the matrices: large enough that a product is bound by arithmetic on any GPU
_COPY_BYTES = 1 << 29  # more than any cache of a GPU
_BUSY_SECONDS = 0.5  # of products under which clocks are read
# What nvidia-smi is asked, by the name that the answer has in the record.
_QUERIES = {
    "driver": "driver_version",
    "sm_mhz": "clocks.sm",
    "sm_mhz_max": "clocks.max.sm",
    "memory_mhz": "clocks.mem",
    "memory_mhz_max": "clocks.max.mem",
    "power_limit_w": "power.limit",
    "temperature_c": "temperature.gpu",
}


def facts(precision: str) -> dict[str, Any]:
    """Name, versions, size and measured limits of the first CUDA device, and its clocks while it computes.

    What nvidia-smi does not tell is None.
    """
    device = torch.device("cuda", torch.cuda.current_device())
    properties = torch.cuda.get_device_properties(device)
    found = {
        "name": properties.name,
        "compute_capability": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "memory_gb": properties.total_memory / 1e9,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "precision": precision,
        "matmul_tflops": 0.0,
        "copy_gb_per_s": copy_gb_per_s(device),
    }
    look_again(found)
    return found


def look_again(found: dict[str, Any]) -> None:
    """Measure the peak of products once more, keep the higher, and read the clocks under them."""
    device = torch.device("cuda", torch.cuda.current_device())
    peak = matmul_tflops(device, found["precision"])
    found["matmul_tflops"] = max(found["matmul_tflops"], peak)
    found |= _under_load(device, found["precision"], peak)
    torch.cuda.empty_cache()


def matmul_tflops(device: torch.device, precision: str, side: int = _SIDE, tries: int = 10) -> float:
    """Operations a second of a product of square matrices, sums in float32, no TF32; the best try, in 10^12."""
    a, b, product = _matrices(device, precision, side)
    return 2 * side**3 / _best(lambda: torch.matmul(a, b, out=product), device, tries) / 1e12


def copy_gb_per_s(device: torch.device, size: int = _COPY_BYTES, tries: int = 10) -> float:
    """Bytes read and written a second by a copy that no cache holds; the best try, in 10^9."""
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * size / _best(lambda: target.copy_(source), device, tries) / 1e9


def smi_facts(uuid: str | None) -> dict[str, Any]:
    """What nvidia-smi says now about the device of that UUID, None for what it does not say."""
    which = ["-i", uuid] if uuid else []
    question = [f"--query-gpu={','.join(_QUERIES.values())}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(["nvidia-smi", *which, *question], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return dict.fromkeys(_QUERIES)
    lines = done.stdout.splitlines() if done.returncode == 0 else []
    return parsed(lines[0] if lines else "")


def parsed(line: str) -> dict[str, Any]:
    """An answer of nvidia-smi, a row of values with commas between; "[N/A]" and the like are None."""
    values = [value.strip() for value in line.split(",")]
    values += [""] * (len(_QUERIES) - len(values))
    told = dict(zip(_QUERIES, (None if not v or v.startswith("[") else v for v in values), strict=False))
    return {name: v if v is None or name == "driver" else _number(v) for name, v in told.items()}


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _under_load(device: torch.device, precision: str, tflops: float) -> dict[str, Any]:
    a, b, product = _matrices(device, precision, _SIDE)
    for _ in range(max(1, int(_BUSY_SECONDS * tflops * 1e12 / (2 * _SIDE**3)))):
        torch.matmul(a, b, out=product)
    uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None)
    told = smi_facts(f"GPU-{uuid}" if uuid else None)
    torch.cuda.synchronize()
    return told


def _matrices(device: torch.device, precision: str, side: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = False
    return tuple(torch.randn(side, side, device=device).to(DTYPES[precision]) for _ in range(3))


def _best(call, device: torch.device, tries: int) -> float:
    """Seconds of the fastest of some calls, after one that does not count."""
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    call()
    best = float("inf")
    for _ in range(tries):
        wait()
        start = time.perf_counter()
        call()
        wait()
        best = min(best, time.perf_counter() - start)
    return best
