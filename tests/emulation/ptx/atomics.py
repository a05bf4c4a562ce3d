"""atom and red on global and shared memory.

Threads that meet at one address take turns in the order of the wave: CTA by CTA in the order of the launch,
threads ascending. Memory orders and scopes change nothing: every store is seen by every later load.
"""

from collections.abc import Callable

import numpy as np

from .decode import Decoder, Execute, opcode
from .errors import EmulationError
from .formats import Format
from .global_memory import rows
from .load_store import take_cache_hint, take_space
from .threads import Mask, Threads, active_threads

_INTEGER = ("b16", "b32", "b64", "u32", "s32", "u64", "s64")
_FLOATING = ("f16", "bf16", "f16x2", "bf16x2", "f32", "f64")
_ORDERS = ("relaxed", "acquire", "release", "acq_rel", "cta", "cluster", "gpu", "sys")

# From the old value and the operands to the new value, on decoded numbers.
_COMBINE: dict[str, Callable] = {
    "add": lambda old, b: old + b,
    "min": np.minimum,
    "max": np.maximum,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "exch": lambda old, b: b,
    "inc": lambda old, b: np.where(old >= b, old.dtype.type(0), old + old.dtype.type(1)),
    "dec": lambda old, b: np.where((old == 0) | (old > b), b, old - old.dtype.type(1)),
    "cas": lambda old, b, c: np.where(old == b, c, old),
}


@opcode("atom", "red")
def _atomic(d: Decoder) -> Execute:
    kind = d.format(*_INTEGER, *_FLOATING)
    space, name = take_space(d), d.take(*_COMBINE)
    d.ignore(*_ORDERS)
    d.ignore("noftz")  # subnormals stay
    count = int(d.take("v2", "v4", "v8", default="v1")[1:])
    hinted = take_cache_hint(d)
    if space == "param" or (kind.is_float and name not in ("add", "exch", "min", "max")):
        raise EmulationError(f"atomic {name} of {kind.name} on {space}")
    targets = [d.target(kind.raw, text) for text in d.elements()] if d.opcode == "atom" else []
    address = d.address()
    operands = [[d.source(kind.raw, text) for text in d.elements()] for _ in range(2 if name == "cas" else 1)]
    if any(len(elements) != count for elements in operands) or len(targets) not in (0, count):
        raise EmulationError(f"atomic on a vector of {count} with other operands")
    if hinted:
        d.source(np.uint64)
    size = kind.bits * kind.lanes // 8
    if space == "shared":
        d.program.accesses_shared(size)

    def execute(threads: Threads, mask: Mask) -> None:
        at = active_threads(threads, mask)
        addresses = address.values(threads)[at]
        threads.wave.count_global("atomics", addresses, size * count, at) if space == "global" else None
        for element in range(count):
            memory, positions = _locate(threads, space, addresses + element * size, size, at)
            values = [np.broadcast_to(threads.arrays[o[element]], (threads.count,))[at] for o in operands]
            old = _in_turns(memory, positions // size, values, kind, _COMBINE[name])
            if targets:
                threads.arrays[targets[element]][at] = old

    return execute


def _locate(threads: Threads, space: str, addresses: np.ndarray, size: int, at: np.ndarray):
    """The memory as integers of `size` bytes, and byte positions."""
    wave = threads.wave
    if space == "global":
        memory = wave.global_memory
        memory.load(addresses, size, 1, at)  # what was never written has no sum
        return rows(memory.data, size, 1)[:, 0], memory.locate(addresses, size, at, "atomic")
    positions = wave.shared_memory.locate(addresses, threads.cta[at], size, at, "atomic")
    wave.shared_memory.update(positions, size, threads.stamp[at], at)
    return rows(wave.shared_memory.data, size, 1)[:, 0], positions


def _in_turns(memory: np.ndarray, index: np.ndarray, values: list, kind: Format, combine: Callable) -> np.ndarray:
    """Rounds of updates in which every address occurs once; returns what each thread found."""
    order = np.argsort(index, kind="stable")
    sorted_index = index[order]
    begins = np.concatenate([[True], sorted_index[1:] != sorted_index[:-1]])
    first = np.maximum.accumulate(np.where(begins, np.arange(len(index)), 0))
    turn = np.empty(len(index), np.int64)
    turn[order] = np.arange(len(index)) - first  # how many threads come before at this address
    found = np.empty(len(index), kind.raw)
    for number in range(int(turn.max()) + 1):
        now = turn == number
        old = memory[index[now]]
        found[now] = old
        operands = [value[now] for value in values]
        if kind.is_float:
            new = kind.encode(combine(kind.decode(old), *(kind.decode(operand) for operand in operands)))
        else:
            new = combine(old.view(kind.dtype), *(operand.view(kind.dtype) for operand in operands)).view(kind.raw)
        memory[index[now]] = new
    return found
