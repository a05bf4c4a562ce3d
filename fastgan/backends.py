"""Which implementation of an operator runs: one of NAMES, or auto, which picks among them.

reference is stock torch; aten (CPU tensors) is torch's convolutions between our own passes over the feature maps;
cpu, triton and cuda are kernels of ours throughout.

`auto` takes a fast implementation only where it has been executed and measured faster: each operator says on
which devices. For CUDA tensors it is the reference (ATen), but for what this device's measured table says
(`fastgan.tuned`). A backend that is forced, by `use_backend` or by FASTGAN_BACKEND, runs or raises.
"""

import contextlib
import functools
import importlib.util
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch

from fastgan import cuda_code, native, tuned
from fastgan.errors import BackendError

NAMES = ("reference", "aten", "cpu", "triton", "cuda")
_ON_CPU = ("aten", "cpu")
CHOICES = ("auto", *NAMES)

_dtypes: dict[str, dict[str, frozenset[torch.dtype]]] = {}
_auto: dict[str, dict[str, "str | Callable[[str], str]"]] = {}
_forced: list[str] = []
_recorders: list[list["Ran"]] = []


class Ran(NamedTuple):
    """One execution: `capability` is that of the CPU kernel, "" for other backends."""

    op: str
    backend: str
    capability: str


def register(op: str, dtypes: dict[str, frozenset[torch.dtype]], auto: dict[str, "str | Callable[[str], str]"]) -> None:
    """Declare an operator.

    dtypes: for each backend that implements it besides the reference, the dtypes it takes.
    auto: for a device type, the backend that `auto` takes there if it can run, or a function that names it for a
        CPU capability ("" without the native part); the reference elsewhere.
    """
    _dtypes[op] = dtypes
    _auto[op] = auto


def why_not(op: str, backend: str, device_type: str, dtype: torch.dtype) -> str | None:
    """None if `backend` can run `op` on such tensors, else the reason why not."""
    if backend == "reference":
        return None
    if backend not in _dtypes[op]:
        return f"{op} has no {backend} implementation"
    reason = _why_not_on_device(backend, device_type)
    if reason is None and dtype not in _dtypes[op][backend]:
        reason = f"it does not take {dtype}".replace("torch.", "")
    return reason


def current() -> str:
    """The choice in force: the innermost `use_backend`, else FASTGAN_BACKEND, else auto."""
    return _forced[-1] if _forced else _from_environment()


def choose(op: str, device_type: str, dtype: torch.dtype, shape_class: Callable[[], str] | None = None) -> str:
    """The backend that runs `op` on tensors of this device type and dtype.

    shape_class: gives the class of the call's shapes (`fastgan.ops.shape_class`); called where a measured table
        decides, and only there. Without it the table decides for all shapes at once.
    Raises BackendError when a forced backend cannot, with the reason and the ways out.
    """
    wanted = current()
    table = tuned.current(device_type) if wanted == "auto" else None
    if table is None:
        return _choose(wanted, op, device_type, dtype, _capability())
    shapes = shape_class() if shape_class else None
    return _able(table.choice(op, tuned.precision_of(device_type, dtype), shapes), op, device_type, dtype)


def wanted(op: str, device_type: str, dtype: torch.dtype) -> bool:
    """Whether to run the chain operator `op` at all, where stock torch has a way of its own.

    Where one was forced, where `auto` takes a fast backend, or where whole networks were measured faster.
    """
    if current() != "auto":
        return True
    if table := tuned.current(device_type):
        return tuned.precision_of(device_type, dtype) in table.chains
    return choose(op, device_type, dtype) != "reference"


# Compiled code keeps the backend that was in force when it was compiled. This is what the decorator
# torch.compiler.assume_constant_result sets; calling it would import torch._dynamo, a second of every start.
choose._dynamo_marked_constant = True
wanted._dynamo_marked_constant = True


def auto_takes(backend: str) -> list[str]:
    """The operators for which `auto` takes `backend` on some device and shape, if this process can use it at all."""
    if unavailable(backend):
        return []
    devices = ("cpu", "cuda")
    found = {op for op in _auto if backend in {_fastest(op, device, _capability()) for device in devices}}
    for table in filter(None, map(tuned.current, devices)):
        found |= {entry.operator for entry in table.chosen() if entry.chosen == backend}
    return sorted({op.removesuffix("_backward") for op in found})


@contextlib.contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Force `name` inside the block, in the whole process: backward passes run on threads of their own.

    Raises ValueError when the name is not one of CHOICES. An operator that cannot run on it raises
    BackendError.
    """
    _forced.append(_checked(name, "use_backend: name"))
    try:
        yield
    finally:
        _forced.pop()


@contextlib.contextmanager
def record() -> Iterator[list[Ran]]:
    """Collect what really ran inside the block, in order."""
    runs: list[Ran] = []
    _recorders.append(runs)
    try:
        yield runs
    finally:
        _recorders[:] = [each for each in _recorders if each is not runs]


def note_ran(op: str, backend: str) -> None:
    """Called by an operator after `backend` has run."""
    if _recorders:
        capability = native.last_cpu_capability() if backend in _ON_CPU else ""
        for runs in _recorders:
            runs.append(Ran(op, backend, capability))


@functools.cache
def _choose(wanted: str, op: str, device_type: str, dtype: torch.dtype, capability: str) -> str:
    if wanted != "auto":
        reason = why_not(op, wanted, device_type, dtype)
        if reason is None:
            return wanted
        able = [name for name in NAMES if why_not(op, name, device_type, dtype) is None]
        raise BackendError(
            f"{op}: backend '{wanted}' cannot run here: {reason}; available for this call: "
            f"{', '.join(able)}, or auto to let fastgan choose"
        )
    return _able(_fastest(op, device_type, capability), op, device_type, dtype)


@functools.cache
def _able(backend: str, op: str, device_type: str, dtype: torch.dtype) -> str:
    """`backend` where it can run, else the reference."""
    return backend if why_not(op, backend, device_type, dtype) is None else "reference"


def _fastest(op: str, device_type: str, capability: str) -> str:
    fast = _auto[op].get(device_type, "reference")
    return fast if isinstance(fast, str) else fast(capability)


def _capability() -> str:
    return native.cpu_capability() if native.ops_missing() is None else ""


def unavailable(backend: str) -> str | None:
    """None if this process can use `backend` at all, on some device, else the reason why not."""
    if backend in _ON_CPU:
        return _with_hint(native.ops_missing())
    if backend == "cuda":
        if native.cuda_on_host():
            return native.cuda_on_host_missing()
        return _with_hint(native.cuda_missing()) or _no_cuda_device() or _no_cuda_code()
    if backend == "triton":
        if not _importable("triton"):
            return "triton is not installed"
        return None if _interpreted() else _no_cuda_device()
    return None


def _why_not_on_device(backend: str, device_type: str) -> str | None:
    emulated = {"triton": _interpreted(), "cuda": native.cuda_on_host() is not None}
    wanted = "cpu" if backend in _ON_CPU or emulated.get(backend) else "cuda"
    if reason := unavailable(backend):
        return reason
    return None if device_type == wanted else f"it takes {wanted.upper()} tensors, got {device_type.upper()} ones"


def _importable(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):  # hidden on purpose: by an import hook, or by None in sys.modules
        return False


def _interpreted() -> bool:
    return os.environ.get("TRITON_INTERPRET") == "1"


def _no_cuda_device() -> str | None:
    return None if torch.cuda.is_available() else "torch sees no CUDA device"


def _no_cuda_code() -> str | None:
    return cuda_code.why_none_here(cuda_code.Build.of(native.build_facts()))


def _with_hint(reason: str | None) -> str | None:
    return None if reason is None else f"{reason} ({native.HOW_TO_BUILD} builds it)"


@functools.cache
def _from_environment() -> str:
    return _checked(os.environ.get("FASTGAN_BACKEND") or "auto", "FASTGAN_BACKEND")


def _checked(name: str, what: str) -> str:
    if name not in CHOICES:
        raise ValueError(f"{what} must be one of {', '.join(CHOICES)}, got {name!r}")
    return name
