"""What this installation is: versions, what was built, which backends can run here, and why not more."""

import importlib.metadata
import platform
from typing import Any

import torch

from fastgan import backends, native, tuned
from fastgan._version import __version__
from fastgan.ops import affine_act_conv2d, affine_act_conv_transpose2d, gan_loss  # noqa: F401 - they register backends


def facts() -> dict[str, Any]:
    """Everything `fastgan info` shows, as JSON values."""
    return {
        "versions": versions(),
        "native": _native(),
        "backends": {name: _backend(name) for name in backends.NAMES},
        "choice": backends.current(),
        "auto": {name: backends.auto_takes(name) for name in backends.NAMES if name != "reference"},
        "tuned": tuned_facts(tuned.of_this_device()),
        "cpu": _cpu(),
        "cuda_device": _cuda_device(),
    }


def versions() -> dict[str, str | None]:
    """Versions of what decides the numbers, by name; None for what is absent."""
    return {
        "fastgan": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torch_cuda": torch.version.cuda,
        "numpy": _version("numpy"),
        "triton": _version("triton"),
    }


def notice() -> str | None:
    """One sentence when the native part is not there: why, and how to get it; None when it is."""
    reason = native.ops_missing()
    if reason is None:
        return None
    return f"running without the native part: {reason}; to get it: {native.HOW_TO_BUILD}"


def tuned_facts(found: tuned.Found) -> dict[str, Any]:
    """A measured table: where it lies, or why there is none, and for how many classes `auto` takes which operator."""
    path, table, reason = found
    facts = {"path": str(path), "reason": reason, "classes": 0, "chosen": {}, "chains": []}
    if table is not None:
        chosen: dict[str, int] = {}
        for entry in table.chosen():
            name = f"{entry.operator} {entry.precision}"
            chosen[name] = chosen.get(name, 0) + 1
        facts |= {"classes": len(table.entries), "chosen": chosen, "chains": list(table.chains)}
    return facts


def _native() -> dict[str, Any]:
    operators, host = native.ops_missing(), native.host_missing()
    return {
        "operators": operators is None,
        "operators_missing": operators,
        "host_module": host is None,
        "host_module_missing": host,
        "build": native.build_facts(),
        "how_to_build": native.HOW_TO_BUILD,
    }


def _backend(name: str) -> dict[str, Any]:
    reason = backends.unavailable(name)
    return {"available": reason is None, "reason": reason}


def _cpu() -> dict[str, Any]:
    host = native.host()
    return {
        "capability": None if native.ops_missing() else native.cpu_capability(),
        "supported": host.cpu_capabilities() if host else [],
        "threads": torch.get_num_threads(),
    }


def _cuda_device() -> dict[str, Any] | None:
    if not torch.cuda.is_available():
        return None
    major, minor = torch.cuda.get_device_capability()
    return {"name": torch.cuda.get_device_name(), "compute_capability": f"{major}.{minor}"}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
