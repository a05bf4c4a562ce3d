"""Runs the launchers of csrc/cuda with each of their kernels as nvcc compiles it for a target, on the PTX emulator.

    with emulated("sm_80", ["gan_loss.cu"], tensors) as launches:
        launchers().fastgan_cuda_gan_loss(...)      # their error, or None
    # the tensors hold the results; launches what each kernel needed and asked for

The launcher is the host's half of the same source (tests/cuda_host), which hands over what it would launch: grid,
block, shared memory and the bytes of the parameters. Pointers in these count as such where they point into one of
the tensors, and nothing else may be touched.
"""

import ctypes
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import torch
from cuda_host import build

from .nvcc import Usage, compile_source
from .ptx import Counters, EmulationError, Order, WrittenBytes, launch
from .ptx.launch import addresses

CUDA_SOURCES = Path(__file__).resolve().parents[2] / "csrc" / "cuda"
_STORED_TYPES = {"fastgan::Half": "__half", "fastgan::BFloat16": "__nv_bfloat16"}


class _Queued(ctypes.Structure):
    """struct Queued of tests/cuda_host/launch.h."""

    _fields_ = [
        ("kernel", ctypes.c_void_p),
        ("grid", ctypes.c_uint * 3),
        ("block", ctypes.c_uint * 3),
        ("shared_bytes", ctypes.c_size_t),
        ("parameters", ctypes.POINTER(ctypes.c_ubyte)),
        ("parameter_bytes", ctypes.c_size_t),
    ]


class _Symbol(ctypes.Structure):
    """Dl_info of dladdr."""

    _fields_ = [
        ("file", ctypes.c_char_p),
        ("base", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
    ]


_RECORDER = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.POINTER(_Queued))


@dataclass(frozen=True)
class EmulatedLaunch:
    """One launch. kernel: its C++ name, of the template alone and whole; usage and counters: what it needed."""

    name: str
    kernel: str
    grid: tuple[int, int, int]
    threads: int
    shared_bytes: int
    usage: Usage
    counters: Counters | None = field(repr=False)

    @property
    def shared(self) -> int:
        """Bytes of a block, static and dynamic."""
        return self.usage.shared + self.shared_bytes


@cache
def launchers() -> ctypes.CDLL:
    """The C functions of csrc/cuda. One that says what is wrong gives bytes, or None."""
    return ctypes.CDLL(str(build.launchers()))


@contextmanager
def emulated(
    target: str,
    sources: Sequence[str],
    tensors: Sequence[torch.Tensor],
    fresh: Sequence[torch.Tensor] = (),
    order: Order = Order(),  # noqa: B008 (frozen)
    count: bool = True,
    edit: Callable[[str], str] = str,
) -> Iterator[list[EmulatedLaunch]]:
    """Within the block, launches by `launchers()` from this thread run on the emulator at once, in place.

    sources: those of csrc/cuda that hold the kernels.
    tensors: all that may be touched; fresh: other ones that count as uninitialised until they are written.
    edit: the PTX into what runs instead.
    What a kernel does wrong is raised at the end of the block.
    """
    done: list[EmulatedLaunch] = []
    mistakes: list[Exception] = []
    written = WrittenBytes()
    for tensor in fresh:
        written.add_uninitialised(tensor)
    touchable = [*tensors, *fresh]

    def run(queued) -> bool:
        try:
            if not mistakes:
                done.append(_run(queued.contents, target, sources, touchable, written, order, count, edit))
        except Exception as mistake:
            mistakes.append(mistake)
        return not mistakes

    try:
        with _recorded(run):
            yield done
    except Exception:
        if not mistakes:
            raise
    if mistakes:
        raise mistakes[0]


@contextmanager
def noted() -> Iterator[set[str]]:
    """Within the block, launches by `launchers()` from this thread compute nothing; the C++ names of their kernels."""
    names: set[str] = set()

    def note(queued) -> bool:
        names.add(_kernel_name(queued.contents.kernel))
        return True

    with _recorded(note):
        yield names


@contextmanager
def _recorded(run: Callable) -> Iterator[None]:
    """Launches from this thread go to run(pointer to _Queued), which returns whether all went well."""
    recorder = _RECORDER(run)
    launchers().fastgan_cuda_host_record(recorder)
    try:
        yield
    finally:
        launchers().fastgan_cuda_host_record(ctypes.cast(None, _RECORDER))


def _run(queued: _Queued, target, sources, tensors, written, order, count, edit) -> EmulatedLaunch:
    kernel = _kernel_name(queued.kernel)
    for source in sources:
        compiled = compile_source(CUDA_SOURCES / source, target)
        entry = compiled.entry(kernel)
        if entry is not None:
            break
    else:
        raise EmulationError(f"none of {', '.join(sources)} has the kernel {kernel}")
    if queued.block[1] * queued.block[2] != 1:
        raise EmulationError(f"{kernel}: blocks of more than one dimension are not emulated")
    counters = launch(
        edit(compiled.ptx),
        tuple(queued.grid),
        queued.block[0],
        tensors,
        queued.shared_bytes,
        entry=entry,
        parameters=_emulated_parameters(ctypes.string_at(queued.parameters, queued.parameter_bytes), tensors),
        written=written,
        order=order,
        count=count,
    )
    name = re.search(r"(\w+)[<(]", kernel).group(1)
    return EmulatedLaunch(
        name, kernel, tuple(queued.grid), queued.block[0], queued.shared_bytes, compiled.usage[entry], counters
    )


def _emulated_parameters(parameters: bytes, tensors: Sequence[torch.Tensor]) -> bytes:
    """The bytes with each pointer into a tensor replaced by where the emulator has it."""
    found = bytearray(parameters)
    for at in range(0, len(parameters) - 7, 8):
        word = int.from_bytes(parameters[at : at + 8], "little")
        for tensor, first in zip(tensors, addresses(tensors), strict=True):
            offset = word - tensor.data_ptr()
            if 0 <= offset < max(tensor.nbytes, 1) and tensor.nbytes:
                found[at : at + 8] = (first + offset).to_bytes(8, "little")
                break
    return bytes(found)


def _kernel_name(address: int) -> str:
    """The name of the kernel whose host half lies at `address`, with CUDA's stored types."""
    symbol = _Symbol()
    if not ctypes.CDLL(None).dladdr(ctypes.c_void_p(address), ctypes.byref(symbol)):
        raise EmulationError(f"address {address:#x} is in no library")
    name = _symbols(symbol.file.decode())[address - symbol.base]
    for ours, cuda in _STORED_TYPES.items():
        name = name.replace(ours, cuda)
    return name


@cache
def _symbols(library: str) -> dict[int, str]:
    """Names of the functions of a library, by offset."""
    done = subprocess.run(["nm", "-C", "--defined-only", library], capture_output=True, text=True, check=True)
    lines = (line.split(" ", 2) for line in done.stdout.splitlines())
    return {int(offset, 16): name for offset, kind, name in lines if kind in "TtWw"}
