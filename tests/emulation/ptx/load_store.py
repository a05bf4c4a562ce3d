"""ld, st and cp.async: data between registers, shared and global memory.

Memory orders and scopes, cache policies and prefetch sizes change nothing here: every store is seen by every
later load. An asynchronous copy reads its source at once and lands at the wait, never earlier.
"""

from dataclasses import dataclass

import numpy as np

from .decode import Decoder, Execute, opcode
from .errors import EmulationError, Fault
from .formats import UNSIGNED
from .global_memory import rows
from .threads import Mask, Threads, active_threads

_TYPES = tuple(f"{kind}{bits}" for kind in "bus" for bits in (8, 16, 32, 64)) + ("f16", "f32", "f64")
_ORDERS = ("weak", "volatile", "relaxed", "acquire", "release", "cta", "cluster", "gpu", "sys")
_CACHES = ("ca", "cg", "cs", "cv", "lu", "wb", "wt", "nc")
_LEVELS = tuple(f"L1::evict_{how}" for how in ("normal", "unchanged", "first", "last")) + ("L1::no_allocate",)
_PREFETCHES = tuple(f"L2::{size}" for size in ("64B", "128B", "256B"))
WITHOUT_EFFECT = (*_ORDERS, *_CACHES, *_LEVELS, *_PREFETCHES)
_LARGEST = 16  # bytes


def take_space(d: Decoder) -> str:
    space = d.take("global", "shared", "shared::cta", "param")
    return "shared" if space == "shared::cta" else space


def take_cache_hint(d: Decoder) -> bool:
    """Whether a cache policy is the last operand."""
    return d.flag("L2::cache_hint")


def _vector(d: Decoder) -> int:
    return int(d.take("v2", "v4", "v8", default="v1")[1:])


@opcode("createpolicy")
def _create_policy(d: Decoder) -> Execute:
    """A number for L2::cache_hint, which has no effect here."""
    d.ignore("fractional", "L2::evict_last", "L2::evict_first", "L2::evict_normal", "L2::evict_unchanged")
    d.format("b64")
    target = d.target(np.uint64)
    if d.remaining:
        d.source(np.float32)

    def execute(threads: Threads, mask: Mask) -> None:
        threads.arrays[target][active_threads(threads, mask)] = 0

    return execute


@opcode("ld")
def _load(d: Decoder) -> Execute:
    kind, count, space = d.format(*_TYPES), _vector(d), take_space(d)
    d.ignore(*WITHOUT_EFFECT)
    hinted = take_cache_hint(d)
    unit = kind.bits // 8
    names = d.elements()
    if len(names) != count or unit * count > _LARGEST:
        raise EmulationError(f"load of {len(names)} elements of {unit} bytes")
    # Registers may be wider than the type: they get its sign or zeros above.
    targets = [(d.target(np.dtype(f"u{d.register_size(name)}"), name), d.register_size(name)) for name in names]
    address = d.address()
    if hinted:
        d.source(np.uint64)
    if space == "param":
        fetch = _parameter_loader(unit, count)
    else:
        fetch = _global_loader(unit, count) if space == "global" else _shared_loader(d, unit, count)

    def execute(threads: Threads, mask: Mask) -> None:
        at = active_threads(threads, mask)
        values = fetch(threads, address.values(threads)[at], at)
        for (slot, size), column in zip(targets, values.T, strict=True):
            if size != unit:
                column = (
                    np.ascontiguousarray(column).view(kind.dtype).astype(f"{'i' if kind.kind == 's' else 'u'}{size}")
                )
            threads.arrays[slot][at] = column.view(f"u{size}") if column.dtype.kind == "i" else column

    return execute


def _parameter_loader(unit: int, count: int):
    """An address in the parameter space is an offset, be it in a register."""
    size = unit * count

    def fetch(threads: Threads, addresses: np.ndarray, at: np.ndarray) -> np.ndarray:
        parameters = threads.wave.parameters
        if (wrong := (addresses < 0) | (addresses + size > len(parameters)) | (addresses % size != 0)).any():
            where = wrong.argmax()
            raise Fault(f"load of {size} bytes at byte {int(addresses[where])} of the parameters", at[where])
        return rows(parameters, unit, count)[addresses // size]

    return fetch


def _global_loader(unit: int, count: int):
    def fetch(threads: Threads, addresses: np.ndarray, at: np.ndarray) -> np.ndarray:
        wave = threads.wave
        wave.count_global("loads", addresses, unit * count, at)
        return wave.global_memory.load(addresses, unit, count, at)

    return fetch


def _shared_loader(d: Decoder, unit: int, count: int):
    d.program.accesses_shared(unit * count)

    def fetch(threads: Threads, addresses: np.ndarray, at: np.ndarray) -> np.ndarray:
        wave = threads.wave
        positions = wave.shared_memory.locate(addresses, threads.cta[at], unit * count, at, "load")
        wave.count_shared("ld", addresses, unit * count, at)
        return wave.shared_memory.load(positions, unit, count, threads.stamp[at], at)

    return fetch


@opcode("st")
def _store(d: Decoder) -> Execute:
    kind, count, space = d.format(*_TYPES), _vector(d), take_space(d)
    d.ignore(*WITHOUT_EFFECT)
    hinted = take_cache_hint(d)
    unit = kind.bits // 8
    address = d.address()
    names = d.elements()
    if len(names) != count or unit * count > _LARGEST or space == "param":
        raise EmulationError(f"store of {len(names)} elements of {unit} bytes to {space}")
    if hinted:
        d.source(np.uint64)
    registers = d.program.register_types
    sources = [
        d.source(np.dtype(f"u{registers[name].itemsize}") if name in registers else kind.raw, name) for name in names
    ]
    if space == "shared":
        d.program.accesses_shared(unit * count)

    def execute(threads: Threads, mask: Mask) -> None:
        at = active_threads(threads, mask)
        addresses = address.values(threads)[at]
        values = np.empty((len(at), count), UNSIGNED[kind.bits])
        for column, slot in enumerate(sources):
            array = threads.arrays[slot]
            values[:, column] = array if len(array) == 1 else array[at]
        wave = threads.wave
        if space == "global":
            wave.count_global("stores", addresses, unit * count, at)
            wave.global_memory.store(addresses, values, at)
        else:
            positions = wave.shared_memory.locate(addresses, threads.cta[at], unit * count, at, "store")
            wave.count_shared("st", addresses, unit * count, at)
            wave.shared_memory.store(positions, values, threads.stamp[at], at)

    return execute


@dataclass
class _Copy:
    """An asynchronous copy on its way: what each thread will write where."""

    threads: np.ndarray
    groups: np.ndarray
    positions: np.ndarray
    values: np.ndarray  # uint8 [n, size]


@opcode("cp")
def _copy_async(d: Decoder) -> Execute:
    d.take("async")
    step = d.take("commit_group", "wait_group", "wait_all", "ca", "cg")
    if step == "commit_group":
        return _commit
    if step in ("wait_group", "wait_all"):
        return _waiter(d.whole() if step == "wait_group" else None)
    if d.take("shared", "shared::cta") and not d.flag("global"):
        raise EmulationError("copy from elsewhere than global memory")
    d.ignore(*_PREFETCHES)
    hinted = take_cache_hint(d)
    to, source, size = d.address(), d.address(), d.whole()
    # Without a source size everything is copied; with one, what lies behind it becomes zero.
    operands = d.remaining - hinted
    source_size = d.source(np.uint32) if operands else None
    if hinted:
        d.source(np.uint64)
    d.program.accesses_shared(size)

    def execute(threads: Threads, mask: Mask) -> None:
        at = active_threads(threads, mask)
        wave = threads.wave
        shared_addresses = to.values(threads)[at]
        positions = wave.shared_memory.locate(shared_addresses, threads.cta[at], size, at, "cp.async")
        wave.count_shared("cp.async", shared_addresses, size, at)
        values = np.zeros((len(at), size), np.uint8)
        wanted = np.full(len(at), True)
        if source_size is not None:
            asked = np.broadcast_to(threads.arrays[source_size], (threads.count,))[at]
            if not np.isin(asked, (0, size)).all():
                odd = (~np.isin(asked, (0, size))).argmax()
                raise Fault(f"cp.async of {int(asked[odd])} of {size} bytes is not modelled", at[odd])
            wanted = asked == size
        addresses = source.values(threads)[at][wanted]
        if len(addresses):
            wave.count_global("copies", addresses, size, at[wanted])
            values[wanted] = wave.global_memory.load(addresses, 1, size, at[wanted])
        wave.shared_memory.start_copy(positions, size, threads.stamp[at], at)
        threads.pending["cp.async"].append(_Copy(at, threads.committed["cp.async"][at], positions, values))

    return execute


def _commit(threads: Threads, mask: Mask) -> None:
    threads.committed["cp.async"][active_threads(threads, mask)] += 1


def _waiter(outstanding: int | None) -> Execute:
    """Land what the waiting threads committed, all but the last `outstanding` groups; None: the uncommitted too."""

    def execute(threads: Threads, mask: Mask) -> None:
        waiting = np.ones(threads.count, bool) if mask is None else mask
        committed = threads.committed["cp.async"]
        due = committed + 1 if outstanding is None else committed - outstanding
        left = []
        for copy in threads.pending["cp.async"]:
            lands = waiting[copy.threads] & (copy.groups < due[copy.threads])
            if lands.any():
                stamps = threads.stamp[copy.threads[lands]]
                threads.wave.shared_memory.land_copy(copy.positions[lands], copy.values[lands], stamps)
            if not lands.all():
                stays = ~lands
                left.append(_Copy(copy.threads[stays], copy.groups[stays], copy.positions[stays], copy.values[stays]))
        threads.pending["cp.async"] = left

    return execute
