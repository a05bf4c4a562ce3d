"""Threads that run in lock step: their registers, program counters and what they wait for.

A group is either every warp of a wave of CTAs, or one warp of each. All arrays have one element a thread,
warp by warp, CTA by CTA.
"""

from dataclasses import dataclass

import numpy as np

WARP = 32
Mask = np.ndarray | None  # bool [T]; None is every thread


@dataclass(frozen=True)
class Slot:
    """What an operand refers to: a register or a special register, seen as `dtype`."""

    name: str
    dtype: np.dtype
    special: bool = False


class Threads:
    """`slots` index `arrays`: views of registers, special registers [T] and constants [1]."""

    def __init__(self, wave, program, warps: np.ndarray):
        """warps: which warps of each CTA of `wave` run together, ascending."""
        self.wave = wave
        self.program = program
        ctas, lanes = wave.ctas, len(warps) * WARP
        self.count = ctas * lanes
        self.warps_of_cta = len(warps)
        self.cta = np.repeat(np.arange(ctas), lanes)  # index into the wave
        self.warp = np.tile(np.repeat(warps, WARP), ctas)  # index into its CTA
        self.thread = self.warp * WARP + np.tile(np.arange(WARP), ctas * len(warps))  # index into its CTA
        self.lane = self.thread % WARP
        self.pc = np.zeros(self.count, np.int32)
        self.alive = np.ones(self.count, bool)
        self.waiting = np.zeros(self.count, bool)
        self.held = np.zeros(self.count, bool)  # at a barrier that the rest of the warp has not reached
        self.stamp = self.warp.astype(np.int32)  # barrier interval * 256 + warp: see shared_memory
        self.committed = {"cp.async": np.zeros(self.count, np.int32), "wgmma": np.zeros(self.count, np.int32)}
        self.pending = {"cp.async": [], "wgmma": []}
        self.guarded: frozenset[str] = frozenset()  # accumulators that a wgmma on its way will write
        self.registers = {name: self._fresh(kind) for name, kind in program.register_types.items()}
        self.arrays = [self._array(slot) for slot in program.slots]

    def _fresh(self, kind: np.dtype) -> np.ndarray:
        """Registers begin as ones throughout: NaN to floats."""
        if kind.kind == "b":
            return np.zeros(self.count, bool)
        return np.full(self.count, np.iinfo(kind).max, kind)

    def _array(self, slot: Slot | np.ndarray) -> np.ndarray:
        if isinstance(slot, np.ndarray):
            return slot
        if not slot.special:
            return self.registers[slot.name].view(slot.dtype)
        values = self._special(slot.name).astype(np.uint32)
        return values.view(slot.dtype) if slot.dtype.itemsize == 4 else values.astype(slot.dtype)

    def _special(self, name: str) -> np.ndarray:
        stem, _, axis = name.partition(".")
        if stem in ("%tid", "%ntid", "%ctaid", "%nctaid"):
            extents = self.wave.grid if "cta" in stem else self.wave.block
            if stem in ("%ntid", "%nctaid"):
                return np.full(self.count, extents["xyz".index(axis)])
            linear = self.wave.linear_cta[self.cta] if "cta" in stem else self.thread
            return np.unravel_index(linear, extents[::-1])[2 - "xyz".index(axis)]
        if stem == "%laneid":
            return self.lane
        raise KeyError(name)

    def describe(self, index: int) -> str:
        cta = np.unravel_index(int(self.wave.linear_cta[self.cta[index]]), self.wave.grid[::-1])[::-1]
        return f"thread {int(self.thread[index])} of CTA ({', '.join(str(int(i)) for i in cta)})"

    def by_warp(self, values: np.ndarray) -> np.ndarray:
        """[T] or [1] as [W, 32]."""
        return np.broadcast_to(values, (self.count,)).reshape(-1, WARP)


def write(target: np.ndarray, value: np.ndarray, mask: Mask) -> None:
    """target[mask] = value, for value [T] or [1] of the target's dtype."""
    if mask is None:
        target[...] = value
    else:
        np.copyto(target, value, where=mask)


def active_threads(threads: Threads, mask: Mask) -> np.ndarray:
    """Indices of the active threads."""
    return np.arange(threads.count) if mask is None else np.flatnonzero(mask)


SPECIAL_REGISTERS = {f"{stem}.{axis}" for stem in ("%tid", "%ntid", "%ctaid", "%nctaid") for axis in "xyz"} | {
    "%laneid"
}
