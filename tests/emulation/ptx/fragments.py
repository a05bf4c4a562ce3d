"""How a warp holds matrices: which register of which lane has which element.

Tables are flat: `order[r, l, h]` is the place, row by row, of number h of register r of lane l.
"""

import functools

import numpy as np

from .formats import Format, format_of
from .threads import WARP, Threads


def _order(registers: int, per_register: int, width: int, row, column) -> np.ndarray:
    register, lane, number = np.ogrid[:registers, :WARP, :per_register]
    places = row(register, lane, number) * width + column(register, lane, number)
    return np.broadcast_to(places, (registers, WARP, per_register)).reshape(-1)


def _inverse(order: np.ndarray) -> np.ndarray:
    result = np.empty_like(order)
    result[order] = np.arange(len(order))
    return result


@functools.cache
def operand_a(bits: int, depth: int) -> np.ndarray:
    """From registers to a 16 x depth matrix: `elements(...)[:, operand_a(...)]`."""
    p = 32 // bits
    return _inverse(
        _order(
            depth // (2 * p),
            p,
            depth,
            lambda r, lane, h: lane // 4 + 8 * (r % 2),
            lambda r, lane, h: lane % 4 * p + h + 4 * p * (r // 2),
        )
    )


@functools.cache
def operand_b(bits: int, depth: int) -> np.ndarray:
    """From registers to the 8 x depth transpose of the second operand."""
    p = 32 // bits
    return _inverse(
        _order(
            depth // (4 * p),
            p,
            depth,
            lambda r, lane, h: lane // 4,
            lambda r, lane, h: lane % 4 * p + h + 4 * p * r,
        )
    )


@functools.cache
def accumulator(bits: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """From registers to a 16 x width matrix, and back. Neighbours are two registers, or one of 2 x 16 bits."""
    p = 32 // bits
    pairs = 2 // p  # registers for two neighbours
    order = _order(
        width // 4 * pairs,
        p,
        width,
        lambda r, lane, h: lane // 4 + 8 * (r // pairs % 2),
        lambda r, lane, h: 2 * (lane % 4) + r % pairs + h + 8 * (r // (2 * pairs)),
    )
    return _inverse(order), order


def in_register(kind: Format) -> Format:
    """How a register of 32 bits holds numbers of this format."""
    return format_of(kind.name + "x2") if kind.bits == 16 else kind


def read_elements(threads: Threads, slots: list[int], kind: Format, warps: np.ndarray) -> np.ndarray:
    """Decoded registers of these warps, [W, registers * 32 * numbers a register]."""
    raw = np.empty((len(warps), len(slots), WARP), np.uint32)
    everywhere = len(warps) == threads.count // WARP
    for place, slot in enumerate(slots):
        values = threads.by_warp(threads.arrays[slot])
        raw[:, place] = values if everywhere else values[warps]
    return in_register(kind).decode(raw.reshape(-1)).reshape(len(warps), -1)


def write_elements(threads: Threads, slots: list[int], kind: Format, values: np.ndarray, warps: np.ndarray) -> None:
    """The inverse of read_elements, rounded to `kind`."""
    held = in_register(kind)
    raw = held.encode(values.reshape(-1, held.lanes) if held.lanes > 1 else values.reshape(-1))
    write_raw(threads, slots, raw.reshape(len(warps), len(slots), WARP), warps)


def write_raw(threads: Threads, slots: list[int], raw: np.ndarray, warps: np.ndarray) -> None:
    """raw: uint32 [W, registers, 32]."""
    everywhere = len(warps) == threads.count // WARP
    for place, slot in enumerate(slots):
        array = threads.arrays[slot].reshape(-1, WARP)
        if everywhere:
            array[...] = raw[:, place]
        else:
            array[warps] = raw[:, place]
