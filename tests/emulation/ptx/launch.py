"""The launch of a kernel given as PTX: tensors become buffers, numbers parameters, and CTAs waves."""

import ctypes
import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from .counters import Counters
from .decode import Program
from .errors import EmulationError
from .global_memory import Buffer, GlobalMemory
from .machine import Order, Wave
from .parser import parse

# Threads that run at a time; more CTAs run wave after wave. More is faster until arrays leave the cache.
WAVE_THREADS = 8192
# CTAs that straggle together: they run one at a time.
STRAGGLING_CTAS = 4
# What Triton appends to a kernel's own parameters: global scratch and profile scratch, null where not asked for.
TRITON_HIDDEN_POINTERS = 2
Argument = torch.Tensor | np.ndarray | int | float | None


@dataclass
class Allocation:
    """Storage behind one or more tensors: only what these tensors show may be touched."""

    name: str
    first: int
    data: np.ndarray
    addressable: np.ndarray


@functools.lru_cache(maxsize=256)
def load_program(ptx: str, entry: str | None = None) -> Program:
    return Program(parse(ptx, entry))


def launch(
    ptx: str,
    grid: Sequence[int],
    threads: int,
    arguments: Iterable[Argument],
    shared_bytes: int = 0,
    *,
    entry: str | None = None,
    parameters: bytes | None = None,
    hidden_pointers: int = 0,
    written: "WrittenBytes | None" = None,
    order: Order = Order(),  # noqa: B008 (frozen)
    wave_threads: int = WAVE_THREADS,
    count: bool = True,
) -> Counters:
    """Run a kernel on tensors in place.

    grid: up to three extents; threads: per CTA, a multiple of 32.
    arguments: one per parameter. A tensor or array is a pointer to its first element; its elements, gaps of a
        view excluded, are all that may be touched through any pointer into its storage. int and float become what
        the parameter's type says; None is a null pointer.
    shared_bytes: dynamic shared memory.
    parameters: the parameter space as it is, with pointers from `addresses(arguments)`; the arguments then only say
        what there is to touch. For kernels that take structs.
    hidden_pointers: null pointers after the arguments (Triton: TRITON_HIDDEN_POINTERS).
    written: what was stored to which storage so far; reading other bytes of these is an error.
    order: who runs first where that is open.

    CTAs run in waves of at most wave_threads threads, one wave after the other: a kernel in which a CTA waits for
    another one in a loop does not end. The last CTA to arrive at a counter may depend on all others, whatever the
    order, since it waits for none.
    """
    grid = tuple(int(extent) for extent in (*grid, 1, 1)[:3])
    program = load_program(ptx, entry)
    required = program.module.threads_required
    if threads % 32 or threads < 32:
        raise EmulationError(f"threads must be a multiple of 32, got {threads}")
    if required is not None and math.prod(required) != threads:
        raise EmulationError(f"the kernel requires {math.prod(required)} threads, got {threads}")
    arguments = [*arguments, *[None] * hidden_pointers]
    allocations = _allocations(arguments)
    memory = GlobalMemory([_buffer(allocation, written) for allocation in allocations])
    if parameters is None:
        space = _parameters(program, arguments, allocations, memory)
    else:
        space = _raw_parameters(program, parameters)
    counters = Counters() if count else None
    ctas = _ordered_ctas(math.prod(grid), order)
    at_a_time = max(wave_threads // threads, 1)
    if order.warps == "straggling":
        at_a_time = min(at_a_time, STRAGGLING_CTAS)
    shared = program.module.static_shared + shared_bytes
    for begin in range(0, len(ctas), at_a_time):
        wave = ctas[begin : begin + at_a_time]
        Wave(program, wave, grid, (threads, 1, 1), space, memory, shared, counters, order).run()
    memory.copy_back()
    if counters is not None:
        counters.unique_bytes_loaded, counters.unique_bytes_stored = memory.unique_bytes()
    return counters


def addresses(tensors: Sequence[torch.Tensor | None]) -> list[int]:
    """Where the first elements of `tensors` lie in a launch whose arguments these are; 0 for None."""
    allocations = _allocations(list(tensors))
    memory = GlobalMemory([_buffer(allocation, None) for allocation in allocations])
    return [_pointer(_tensor(tensor), allocations, memory) for tensor in tensors]


class WrittenBytes:
    """Which bytes of storages that began uninitialised have been written since."""

    def __init__(self):
        self._flags: dict[int, np.ndarray] = {}
        self._storages: dict[int, torch.UntypedStorage] = {}  # kept alive: an address must not be used twice

    def add_uninitialised(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        self._flags[storage.data_ptr()] = np.zeros(storage.nbytes(), np.uint8)
        self._storages[storage.data_ptr()] = storage

    def set_written(self, tensor: torch.Tensor) -> None:
        """All elements of `tensor` hold numbers now."""
        flags = self._flags.get(tensor.untyped_storage().data_ptr())
        if flags is not None:
            _mark_elements(flags, tensor)

    def flags(self, first: int, size: int) -> np.ndarray:
        return self._flags.get(first, np.ones(size, np.uint8))


def _tensor(argument: Argument) -> torch.Tensor | None:
    if isinstance(argument, np.ndarray):
        return torch.from_numpy(argument)
    return argument if isinstance(argument, torch.Tensor) else None


def _allocations(arguments: list[Argument]) -> list[Allocation]:
    found: dict[int, Allocation] = {}
    for number, argument in enumerate(arguments):
        tensor = _tensor(argument)
        if tensor is None or tensor.untyped_storage().nbytes() == 0:
            continue
        storage = tensor.untyped_storage()
        first = storage.data_ptr()
        if first not in found:
            # Not through torch: whoever watches its operations would take this for a tensor of the kernel's.
            data = np.ctypeslib.as_array((ctypes.c_uint8 * storage.nbytes()).from_address(first))
            found[first] = Allocation(f"argument {number}", first, data, np.zeros(len(data), np.uint8))
        else:
            found[first].name += f"/{number}"
        _mark_elements(found[first].addressable, tensor)
    return list(found.values())


def _mark_elements(flags: np.ndarray, tensor: torch.Tensor) -> None:
    """Set the bytes of the storage that `tensor` shows."""
    if tensor.numel() == 0:
        return
    size = tensor.element_size()
    offset = tensor.data_ptr() - tensor.untyped_storage().data_ptr()
    shape, strides = (*tensor.shape, size), (*(stride * size for stride in tensor.stride()), 1)
    np.lib.stride_tricks.as_strided(flags[offset:], shape, strides)[...] = 1


def _buffer(allocation: Allocation, written: WrittenBytes | None) -> Buffer:
    size = len(allocation.data)
    flags = np.ones(size, np.uint8) if written is None else written.flags(allocation.first, size)
    return Buffer(allocation.name, allocation.data, allocation.addressable, flags)


def _parameters(program: Program, arguments: list, allocations: list[Allocation], memory: GlobalMemory) -> np.ndarray:
    declared = program.module.parameters
    if len(declared) != len(arguments):
        raise EmulationError(f"{program.module.name} has {len(declared)} parameters, got {len(arguments)}")
    data = np.zeros(max(program.module.parameter_bytes, 1), np.uint8)
    for parameter, argument in zip(declared, arguments, strict=True):
        tensor = _tensor(argument)
        if tensor is not None or argument is None:
            value = np.array([_pointer(tensor, allocations, memory)], np.uint64)
        elif parameter.kind in ("f32", "f64"):
            value = np.array([argument], {"f32": np.float32, "f64": np.float64}[parameter.kind])
        elif isinstance(argument, float):
            raise EmulationError(f"{parameter.name} is a .{parameter.kind}, got {argument}")
        else:
            bits = 8 * parameter.size
            if not -(1 << (bits - 1)) <= int(argument) < 1 << bits:
                raise EmulationError(f"{argument} does not fit {parameter.name}, a .{parameter.kind}")
            value = np.array([int(argument) & ((1 << bits) - 1)], f"u{parameter.size}")
        if value.nbytes != parameter.size:
            raise EmulationError(f"{parameter.name} is a .{parameter.kind}, got {type(argument).__name__}")
        data[parameter.offset : parameter.offset + parameter.size] = value.view(np.uint8)
    return data


def _raw_parameters(program: Program, parameters: bytes) -> np.ndarray:
    if len(parameters) != program.module.parameter_bytes:
        raise EmulationError(
            f"{program.module.name} has {program.module.parameter_bytes} bytes of parameters, got {len(parameters)}"
        )
    return np.frombuffer(parameters, np.uint8).copy()


def _pointer(tensor: torch.Tensor | None, allocations: list[Allocation], memory: GlobalMemory) -> int:
    if tensor is None or tensor.untyped_storage().nbytes() == 0:
        return 0
    first = tensor.untyped_storage().data_ptr()
    number = next(i for i, allocation in enumerate(allocations) if allocation.first == first)
    return memory.address(number) + tensor.data_ptr() - first


def _ordered_ctas(count: int, order: Order) -> np.ndarray:
    ctas = np.arange(count)
    if order.ctas == "reverse":
        return ctas[::-1].copy()
    if order.ctas == "shuffled":
        np.random.default_rng(order.seed).shuffle(ctas)
    return ctas
