"""What timings and self-checks of a device hold for: the device, its driver, and the software that ran on it."""

import ctypes
import functools
import hashlib
import importlib.metadata
import importlib.util
import platform
from pathlib import Path

import torch

from fastgan._version import __version__


def facts(device: torch.device) -> dict[str, str]:
    """By name; "" for what a device does not have. Raises ValueError where there is no such device, or no one kind."""
    return {**(_cuda() if device.type == "cuda" else _cpu()), **_software()}


def _cuda() -> dict[str, str]:
    if not torch.cuda.is_available():
        raise ValueError("torch sees no CUDA device")
    kinds = {_kind(torch.cuda.get_device_properties(i)) for i in range(torch.cuda.device_count())}
    if len(kinds) > 1:
        names = ", ".join(sorted(name for name, _ in kinds))
        raise ValueError(f"the CUDA devices differ ({names}): show this process one, by CUDA_VISIBLE_DEVICES")
    ((name, capability),) = kinds
    return {"device": name, "capability": capability, "driver": _driver(), "cuda": _gpu_runtime()}


def _kind(properties) -> tuple[str, str]:
    return properties.name, f"{properties.major}.{properties.minor}"


def _gpu_runtime() -> str:
    return torch.version.cuda or torch.version.hip or ""


def _driver() -> str:
    """The version of NVIDIA's driver, "unknown" where its management library does not say."""
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
        text = ctypes.create_string_buffer(96)
        said = nvml.nvmlInit_v2() or nvml.nvmlSystemGetDriverVersion(text, len(text))
        nvml.nvmlShutdown()
    except (OSError, AttributeError):
        return "unknown"
    return "unknown" if said else text.value.decode(errors="replace")


def _cpu() -> dict[str, str]:
    name = platform.processor() or platform.machine()
    return {"device": f"CPU {name}", "capability": torch.backends.cpu.get_cpu_capability(), "driver": "", "cuda": ""}


@functools.cache
def _software() -> dict[str, str]:
    return {
        "torch": torch.__version__,
        "triton": _version("triton"),
        "fastgan": __version__,
        "kernels": _digest_of_kernels(),
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _digest_of_kernels() -> str:
    """Of the sources of fastgan.kernels, which change between two releases too."""
    digest = hashlib.sha256()
    spec = importlib.util.find_spec("fastgan.kernels")
    folders = spec.submodule_search_locations if spec else ()
    for path in sorted(path for folder in folders for path in Path(folder).glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
