"""What a launch asks of the memories and the machine, counted as a GPU would group it."""

from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np

from .threads import WARP

SECTOR = 32
BANKS = 32


@dataclass
class Traffic:
    """Accesses of one kind. A request is one instruction of one warp with at least one thread active."""

    requests: int = 0
    sectors: int = 0  # global: distinct sectors of 32 bytes, summed over requests
    bytes_asked: int = 0
    widths: Counter = field(default_factory=Counter)  # bytes of one thread's access -> requests

    @property
    def sectors_per_request(self) -> float:
        return self.sectors / self.requests if self.requests else 0.0


@dataclass
class BankUse:
    """Accesses of one kind to shared memory. A phase is what would take one cycle without conflicts."""

    phases: int = 0
    cycles: int = 0

    @property
    def conflict_factor(self) -> float:
        return self.cycles / self.phases if self.phases else 1.0


@dataclass
class Counters:
    """One launch. `unique_*` are distinct bytes: what must cross DRAM at least."""

    loads: Traffic = field(default_factory=Traffic)
    stores: Traffic = field(default_factory=Traffic)
    copies: Traffic = field(default_factory=Traffic)  # cp.async, the global side
    atomics: Traffic = field(default_factory=Traffic)
    shared: dict[str, BankUse] = field(default_factory=dict)  # ld, st, ldmatrix, stmatrix, cp.async
    conflicts: Counter = field(default_factory=Counter)  # line of source -> cycles beyond one for each phase
    unique_bytes_loaded: int = 0
    unique_bytes_stored: int = 0
    warp_instructions: int = 0
    instructions: Counter = field(default_factory=Counter)  # opcode -> warp instructions
    tensor_core_instructions: int = 0
    _seen: dict = field(default_factory=dict, repr=False)

    @property
    def bytes_loaded(self) -> int:
        """Bytes asked for by loads and asynchronous copies."""
        return self.loads.bytes_asked + self.copies.bytes_asked

    @property
    def load_sectors_per_request(self) -> float:
        requests = self.loads.requests + self.copies.requests
        return (self.loads.sectors + self.copies.sectors) / requests if requests else 0.0

    @property
    def conflict_factor(self) -> float:
        """Over every access to shared memory."""
        return self._cycles_per_phase(0)

    def conflicts_in(self, file: str) -> int:
        """Cycles lost to conflicts by what is for lines of this file."""
        return sum(cycles for source, cycles in self.conflicts.items() if source.partition(":")[0] == file)

    def conflict_factor_outside(self, file: str) -> float:
        """As if the lines of this file had no conflicts."""
        return self._cycles_per_phase(self.conflicts_in(file))

    def _cycles_per_phase(self, without: int) -> float:
        phases = sum(use.phases for use in self.shared.values())
        return (sum(use.cycles for use in self.shared.values()) - without) / phases if phases else 1.0

    def count_global(self, kind: str, addresses: np.ndarray, size: int, threads: np.ndarray) -> None:
        """kind: loads, stores, copies or atomics; threads: indices of the active ones, ascending."""
        if not len(threads):
            return
        traffic: Traffic = getattr(self, kind)
        warps, requests = _by_warp(threads)
        sectors = np.full((requests, WARP), -1, np.int64)
        sectors[warps, threads % WARP] = addresses // SECTOR
        traffic.requests += requests
        traffic.sectors += int(_distinct(sectors).sum())
        traffic.bytes_asked += size * len(threads)
        traffic.widths[size] += requests

    def count_shared(self, kind: str, addresses: np.ndarray, size: int, threads: np.ndarray, source: str = "") -> None:
        """Threads of a warp go in phases: 32 at a time for up to 4 bytes, 16 for 8 bytes, 8 for 16 bytes.

        source: the file and line that the instruction is for.
        """
        if not len(threads):
            return
        use = self.shared.setdefault(kind, BankUse())
        # Loops use the same addresses again and again.
        key = size, blake2b(addresses).digest(), blake2b(threads).digest()
        if key not in self._seen:
            self._seen[key] = _bank_use(addresses, size, threads)
        phases, cycles = self._seen[key]
        use.phases += phases
        use.cycles += cycles
        if cycles > phases:
            self.conflicts[source] += cycles - phases


def _bank_use(addresses: np.ndarray, size: int, threads: np.ndarray) -> tuple[int, int]:
    """Phases and cycles of one instruction."""
    words = max(size // 4, 1)
    warps, requests = _by_warp(threads)
    asked = np.full((requests, WARP, words), -1, np.int64)
    asked[warps, threads % WARP] = (addresses // 4)[:, None] + np.arange(words)
    asked = np.sort(asked.reshape(requests * words, WARP), axis=1)  # [phases, words of a phase]
    asked = asked[asked[:, -1] >= 0]
    first = np.concatenate([np.ones((len(asked), 1), bool), asked[:, 1:] != asked[:, :-1]], axis=1) & (asked >= 0)
    phase, place = np.nonzero(first)
    in_bank = np.bincount(phase * BANKS + asked[phase, place] % BANKS, minlength=len(asked) * BANKS)
    return len(asked), int(in_bank.reshape(-1, BANKS).max(1).sum())


def _by_warp(threads: np.ndarray) -> tuple[np.ndarray, int]:
    """For each thread the number of its warp among those that take part; how many do."""
    warps = threads // WARP
    new = np.concatenate([[0], warps[1:] != warps[:-1]])
    numbers = np.cumsum(new)
    return numbers, int(numbers[-1]) + 1


def _distinct(values: np.ndarray) -> np.ndarray:
    """How many different values other than -1 each row has."""
    ordered = np.sort(values, axis=1)
    new = np.concatenate([np.ones((len(values), 1), bool), ordered[:, 1:] != ordered[:, :-1]], axis=1)
    return (new & (ordered >= 0)).sum(1)
