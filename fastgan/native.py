"""The native part: loads the operators (`fastgan/_ops*.so`) and host helpers (`fastgan._C`), or says why not.

The two are independent: without `_C` the operators still load. Nothing here raises when they are absent; a
pure-Python install is a working one.
"""

import functools
import importlib
import json
import os
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

HOW_TO_BUILD = "pip install --no-build-isolation ."

_PACKAGE = Path(__file__).parent


@functools.cache
def build_facts() -> dict[str, Any]:
    """What setup.py recorded: cpu and cuda (bool), reasons by part left out; compiler, torch, CUDA."""
    try:
        return json.loads((_PACKAGE / "_build.json").read_text())
    except FileNotFoundError:
        reason = "fastgan was never installed, its files are used as they are"
        return {"cpu": False, "cuda": False, "reasons": {"cpu": reason, "cuda": reason}}


@functools.cache
def ops_missing() -> str | None:
    """Load the operators at the first call. None when they are there, else the reason why they are not."""
    path = _PACKAGE / f"_ops{sysconfig.get_config_var('EXT_SUFFIX')}"
    if not path.is_file():
        return build_facts()["reasons"].get("cpu") or f"{path.name} is missing from {path.parent}"
    try:
        torch.ops.load_library(str(path))
    except OSError as error:
        built = build_facts().get("torch") or "an unknown torch"
        return f"{path.name} (built with torch {built}) does not load in torch {torch.__version__}: {error}"
    return None


def cuda_missing() -> str | None:
    """None when the operators are loaded and hold CUDA kernels, else the reason why not."""
    if reason := ops_missing():
        return reason
    return None if build_facts()["cuda"] else build_facts()["reasons"].get("cuda", "CUDA was not built")


@functools.cache
def cuda_on_host() -> str | None:
    """The library that FASTGAN_CUDA_HOST names: the CUDA operators compiled for the CPU, for tests. None without one.

    As long as there is one, backend cuda takes CPU tensors, and no other ones.
    """
    return os.environ.get("FASTGAN_CUDA_HOST") or None


@functools.cache
def cuda_on_host_missing() -> str | None:
    """Load that library at the first call. None when it is there, else the reason why it is not."""
    path = cuda_on_host()
    if path is None:
        return "FASTGAN_CUDA_HOST names no library"
    if not Path(path).is_file():
        return f"FASTGAN_CUDA_HOST must name a library of tests/cuda_host/build.py, got {path!r}, which is no file"
    try:
        torch.ops.load_library(path)
    except OSError as error:
        return f"FASTGAN_CUDA_HOST={path} does not load in torch {torch.__version__}: {error}"
    return None


def cuda_operators() -> Any:
    """The namespace of torch.ops that holds the CUDA operators; they must not be missing."""
    return torch.ops.fastgan_cuda_host if cuda_on_host() else torch.ops.fastgan_C


@functools.cache
def _load_host() -> tuple[ModuleType | None, str | None]:
    try:
        return importlib.import_module("fastgan._C"), None
    except ImportError as error:
        reasons = build_facts()["reasons"]
        return None, reasons.get("cpu") or reasons.get("host") or str(error)


def host() -> ModuleType | None:
    """The module `fastgan._C`, None where it does not load."""
    return _load_host()[0]


def host_missing() -> str | None:
    """None when `fastgan._C` loads, else the reason why not."""
    return _load_host()[1]


def cpu_capability() -> str:
    """The instruction sets the CPU operators use now: `default`, `avx2` or `avx512`.

    An operator without a kernel for it runs its best below. RuntimeError when there are no operators.
    """
    _require_ops()
    return torch.ops.fastgan_C.cpu_capability()


def force_cpu_capability(name: str) -> None:
    """Use capability `name` from now on in this process; "auto" goes back to the machine's best.

    Raises ValueError when this machine cannot execute it, RuntimeError when the operators are not there.
    """
    _require_ops()
    torch.ops.fastgan_C.force_cpu_capability(name)


def last_cpu_capability() -> str:
    """The capability whose kernel ran last in this process, "" if none has."""
    _require_ops()
    return torch.ops.fastgan_C.last_cpu_capability()


def kept_scratch() -> int:
    """Bytes that the CPU kernels' threads keep to work in, from call to call; 0 without the operators."""
    return 0 if ops_missing() else torch.ops.fastgan_C.kept_scratch()


def _require_ops() -> None:
    if reason := ops_missing():
        raise RuntimeError(f"the native part of fastgan is not there: {reason}; {HOW_TO_BUILD} builds it")
