"""Shared memory of a wave of CTAs: bounds, reads of what nobody wrote, and hazards between warps.

Two accesses of one CTA's warps are ordered only by a barrier between them. Every granule remembers who wrote
and who read it last, and in which interval between barriers: so a missing barrier is found whatever the order
in which warps happen to run. A store that changes nothing is no hazard. Threads of one warp count as ordered.
"""

import numpy as np

from .decode import SHARED_BASE
from .errors import Fault
from .global_memory import all_set, mark, rows

# A stamp is interval * 256 + warp.
SEVERAL_WARPS = 255
IN_FLIGHT = np.int32(2**31 - 1)  # an asynchronous copy is on its way there
NEVER = np.int32(-256)
SWIZZLE_ALIGNMENT = 1024


class SharedMemory:
    """One array for all CTAs; positions are offsets into it."""

    def __init__(self, ctas: int, size: int, granule: int):
        self.size = size
        self.granule = granule
        self.stride = max(-(-size // SWIZZLE_ALIGNMENT), 1) * SWIZZLE_ALIGNMENT
        self.data = np.full(ctas * self.stride, 0xFF, np.uint8)
        self.written = np.zeros(ctas * self.stride, np.uint8)
        self.last_write = np.full(ctas * self.stride // granule, NEVER, np.int32)
        self.last_read = np.full(ctas * self.stride // granule, NEVER, np.int32)

    def locate(
        self, addresses: np.ndarray, ctas: np.ndarray, size: int, threads: np.ndarray, action: str
    ) -> np.ndarray:
        if (misaligned := addresses % size != 0).any():
            at = misaligned.argmax()
            raise Fault(f"misaligned shared {action} of {size} bytes at {int(addresses[at])}", threads[at])
        offsets = addresses - SHARED_BASE
        if (wrong := (offsets < 0) | (offsets + size > self.size)).any():
            at = wrong.argmax()
            raise Fault(
                f"shared {action} out of bounds: {size} bytes at byte {int(offsets[at])} of {self.size}", threads[at]
            )
        return offsets + ctas * self.stride

    def load(self, positions: np.ndarray, unit: int, count: int, stamps: np.ndarray, threads: np.ndarray) -> np.ndarray:
        """[n, count] unsigned integers of `unit` bytes. stamps: int32 [n], who reads when."""
        size = unit * count
        self.read(positions, size, stamps, threads)
        return self.peek(positions, unit, count)

    def peek(self, positions: np.ndarray, unit: int, count: int) -> np.ndarray:
        """What is there, whoever asks."""
        return rows(self.data, unit, count)[positions // (unit * count)]

    def read(self, positions: np.ndarray, size: int, stamps: np.ndarray, threads: np.ndarray) -> None:
        """Check that reading is defined, and remember it."""
        granules = self._granules(positions, size)
        stamps = stamps[:, None]
        self._check(self.last_write[granules], stamps, positions, threads, "load", "written")
        if not (written := all_set(self.written, positions, size)).all():
            at = (~written).argmax()
            raise Fault(f"load of shared memory never written, at byte {self._offset(positions[at])}", threads[at])
        before = self.last_read[granules]
        several = stamps | SEVERAL_WARPS
        stamps = np.where((before >> 8 == stamps >> 8) & (before != stamps), several, stamps)
        self.last_read[granules] = stamps
        collided = self.last_read[granules] != stamps
        if collided.any():
            self.last_read[granules[collided]] = np.broadcast_to(several, collided.shape)[collided]

    def store(self, positions: np.ndarray, values: np.ndarray, stamps: np.ndarray, threads: np.ndarray) -> None:
        """values: [n, count] unsigned integers."""
        values = np.ascontiguousarray(values)
        size = values.itemsize * values.shape[1]
        granules = self._granules(positions, size)
        stamps = np.broadcast_to(stamps[:, None], granules.shape)
        stored = values.view(f"u{self.granule}")
        memory = self.data.view(f"u{self.granule}")
        fresh = ~all_set(self.written, granules.reshape(-1) * self.granule, self.granule).reshape(granules.shape)
        changed = (memory[granules] != stored) | fresh
        if changed.any():
            self._check_store(granules, stamps, changed, positions, threads)
        memory[granules] = stored
        if (lost := (memory[granules] != stored).any(1)).any():
            at = lost.argmax()
            raise Fault(f"two threads store different values to byte {self._offset(positions[at])}", threads[at])
        self.last_write[granules[changed]] = stamps[changed]
        mark(self.written, positions, size)

    def start_copy(self, positions: np.ndarray, size: int, stamps: np.ndarray, threads: np.ndarray) -> None:
        """From now on until the copy lands, nobody may touch what it writes."""
        granules = self._granules(positions, size)
        self._check_store(granules, stamps[:, None], np.ones(granules.shape, bool), positions, threads)
        self.last_write[granules] = IN_FLIGHT

    def land_copy(self, positions: np.ndarray, values: np.ndarray, stamps: np.ndarray) -> None:
        size = values.shape[1]
        rows(self.data, 1, size)[positions // size] = values
        mark(self.written, positions, size)
        self.last_write[self._granules(positions, size)] = stamps[:, None]

    def update(self, positions: np.ndarray, size: int, stamps: np.ndarray, threads: np.ndarray) -> None:
        """Before an atomic writes: no hazard to other atomics, but to plain accesses of other warps."""
        if not (written := all_set(self.written, positions, size)).all():
            at = (~written).argmax()
            raise Fault(f"atomic on shared memory never written, at byte {self._offset(positions[at])}", threads[at])
        granules = self._granules(positions, size)
        before = self.last_write[granules]
        by_atomics = before == stamps[:, None] | SEVERAL_WARPS
        self._check(np.where(by_atomics, NEVER, before), stamps[:, None], positions, threads, "atomic", "written")
        self.last_write[granules] = stamps[:, None] | SEVERAL_WARPS

    def _granules(self, positions: np.ndarray, size: int) -> np.ndarray:
        """[n, size / granule]."""
        return positions[:, None] // self.granule + np.arange(size // self.granule)

    def _offset(self, position: int) -> int:
        return int(position) % self.stride

    def _check_store(self, granules, stamps, changed, positions, threads) -> None:
        for last, done in ((self.last_write, "written"), (self.last_read, "read")):
            before = np.where(changed, last[granules], NEVER)
            self._check(before, stamps, positions, threads, "store", done)

    def _check(self, before, stamps, positions, threads, action: str, done: str) -> None:
        """before, stamps: [n, granules]. Fails where another warp was there in the same interval."""
        conflict = (before != stamps) & ((before >> 8 == stamps >> 8) | (before == IN_FLIGHT))
        if conflict.any():
            at, granule = np.unravel_index(conflict.argmax(), conflict.shape)
            by = int(before[at, granule])
            where = f"shared {action} at byte {self._offset(positions[at])}"
            if by == IN_FLIGHT:
                raise Fault(f"{where} that a cp.async still writes: a wait is missing", threads[at])
            who = "several warps" if by & 255 == SEVERAL_WARPS else f"warp {by & 255}"
            raise Fault(f"{where} {done} by {who} since the last barrier: a barrier is missing", threads[at])
