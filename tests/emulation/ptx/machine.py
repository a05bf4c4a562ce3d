"""Runs a wave of CTAs: groups of threads in lock step, divergence by lowest program counter, barriers per CTA."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from . import atomics, control, conversion, floating, integer, load_store, matrix, moves, warp, warpgroup
from .control import Barrier, Branch, Exit
from .counters import Counters
from .decode import Program
from .errors import EmulationError, Fault
from .global_memory import GlobalMemory
from .shared_memory import SharedMemory
from .threads import WARP, Threads

# Their decoders register themselves.
INSTRUCTION_SETS = (atomics, control, conversion, floating, integer, load_store, matrix, moves, warp, warpgroup)
TENSOR_CORE_OPCODES = ("mma", "wgmma.mma_async")


@dataclass(frozen=True)
class Order:
    """Who runs first where the program leaves it open.

    warps: "together" runs all warps in lock step. "ascending", "descending" and "shuffled" run one warp after
    the other, each to its next barrier. "straggling" runs the first warp of every CTA to its barrier, then the
    last CTA to its end, then the one before: a CTA sees what others have done with one warp alone.
    ctas: "forward", "reverse" or "shuffled": which CTAs come first, in waves and at atomics.
    """

    warps: str = "together"
    ctas: str = "forward"
    seed: int = 0

    def __post_init__(self):
        assert self.warps in ("together", "ascending", "descending", "shuffled", "straggling"), self.warps
        assert self.ctas in ("forward", "reverse", "shuffled"), self.ctas

    def __str__(self) -> str:
        return f"{self.warps}-{self.ctas}"


class Wave:
    """Some CTAs of a launch and what they share."""

    def __init__(
        self,
        program: Program,
        linear_cta: np.ndarray,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        parameters: np.ndarray,
        global_memory: GlobalMemory,
        shared_bytes: int,
        counters: Counters | None,
        order: Order,
    ):
        self.program = program
        self.linear_cta = linear_cta
        self.ctas = len(linear_cta)
        self.grid, self.block = grid, block
        self.parameters = parameters
        self.global_memory = global_memory
        self.shared_memory = SharedMemory(self.ctas, shared_bytes, program.shared_granule)
        self.counters = counters
        self.order = order
        warps = block[0] * block[1] * block[2] // WARP
        together = [np.arange(warps)] if order.warps == "together" else [np.array([warp]) for warp in range(warps)]
        self.groups = [Threads(self, program, numbers) for numbers in together]
        self.executed = np.zeros(len(program.executes), np.int64)  # warp instructions
        self.pc = 0  # of the instruction that runs
        self.random = np.random.default_rng(order.seed)

    def count_global(self, kind: str, addresses: np.ndarray, size: int, threads: np.ndarray) -> None:
        if self.counters is not None:
            self.counters.count_global(kind, addresses, size, threads)
            self.global_memory.touch(addresses, size, stores=kind == "stores")

    def count_shared(self, kind: str, addresses: np.ndarray, size: int, threads: np.ndarray) -> None:
        if self.counters is not None:
            source = self.program.module.instructions[self.pc].source or ""
            self.counters.count_shared(kind, addresses, size, threads, source)

    def run(self) -> None:
        with np.errstate(all="ignore"):
            while any(group.alive.any() for group in self.groups):
                for group, ctas in self._turns():
                    self._run_to_barrier(group, ctas)
                    if self.order.warps == "straggling":
                        self._release_barriers()
                self._release_barriers()
        if self.counters is not None:
            self._count_instructions()

    def _turns(self) -> Iterator[tuple[Threads, np.ndarray | None]]:
        """Groups in the order in which they run to their next barrier, and which CTAs of theirs; None: all."""
        if self.order.warps != "straggling":
            groups = list(self.groups)
            if self.order.warps == "descending":
                groups.reverse()
            elif self.order.warps == "shuffled":
                self.random.shuffle(groups)
            yield from ((group, None) for group in groups)
            return
        yield self.groups[0], None
        for cta in reversed(range(self.ctas)):
            only = np.arange(self.ctas) == cta
            while any((group.alive & (group.cta == cta)).any() for group in self.groups):
                yield from ((group, only) for group in self.groups)

    def _release_barriers(self) -> None:
        """A CTA goes on when every thread of it that is alive waits."""
        held = np.zeros(self.ctas, bool)
        for group in self.groups:
            held |= np.bincount(group.cta[group.alive & ~group.waiting], minlength=self.ctas) > 0
        for group in self.groups:
            released = group.waiting & ~held[group.cta]
            group.waiting &= ~released
            group.stamp[~held[group.cta]] += 256

    def _run_to_barrier(self, threads: Threads, ctas: np.ndarray | None) -> None:
        """Run every thread until it ends or waits."""
        allowed = np.ones(threads.count, bool) if ctas is None else ctas[threads.cta]
        while True:
            runnable = threads.alive & ~threads.waiting & ~threads.held & allowed
            if not runnable.any():
                self._check_held(threads, allowed)
                return
            first = int(threads.pc[runnable].min())
            active = runnable & (threads.pc == first)
            others = threads.pc[runnable & ~active]
            self._run_together(threads, first, active, int(others.min()) if len(others) else len(self.executed))

    def _run_together(self, threads: Threads, pc: int, active: np.ndarray, limit: int) -> None:
        """Run threads that agree, from `pc` until they part, wait, end or meet others at `limit`."""
        program = self.program
        mask = None if active.all() else active
        warps = int(active.reshape(-1, WARP).any(1).sum())
        while pc < limit:
            execute, guard = program.executes[pc], program.guards[pc]
            self.executed[pc] += warps
            if guard is None:
                chosen = mask
            else:
                predicate = threads.arrays[guard[0]]
                chosen = ~predicate if guard[1] else predicate
                chosen = chosen & active if mask is not None else chosen
                if chosen.all():
                    chosen = None
                elif not chosen.any():
                    pc += 1
                    continue
            try:
                if threads.guarded and threads.guarded & program.names[pc]:
                    self._check_guarded(threads, pc, active)
                if not isinstance(execute, Branch | Exit | Barrier):
                    self.pc = pc
                    execute(threads, chosen)
                    pc += 1
                    continue
                if isinstance(execute, Branch) and (chosen is None or chosen is mask or (chosen == active).all()):
                    pc = execute.target
                    continue
                self._part(threads, pc, execute, active, active if chosen is None else chosen)
                return
            except Fault as fault:
                raise EmulationError(self._describe(fault, threads, pc)) from None
        threads.pc[active] = pc
        if limit == len(self.executed) and pc >= limit:
            threads.alive[active] = False  # past the last instruction

    def _part(self, threads: Threads, pc: int, execute, active: np.ndarray, chosen: np.ndarray) -> None:
        threads.pc[active] = pc + 1
        if isinstance(execute, Branch):
            threads.pc[chosen] = execute.target
        elif isinstance(execute, Exit):
            threads.alive[chosen] = False
        else:
            self._arrive(threads, pc, chosen)

    def _arrive(self, threads: Threads, pc: int, chosen: np.ndarray) -> None:
        """At a barrier. Lanes are held here until the others of their warp have come, on whatever way."""
        threads.pc[chosen] = pc
        here = chosen | (threads.held & (threads.pc == pc))
        whole = ~(threads.alive & ~here).reshape(-1, WARP).any(1)
        complete = here & np.repeat(whole, WARP)
        threads.held = (threads.held | here) & ~complete
        threads.waiting |= complete
        threads.pc[complete] = pc + 1

    def _check_held(self, threads: Threads, allowed: np.ndarray) -> None:
        """Nobody else can run: whoever is held waits for lanes that went past the barrier."""
        if (held := threads.held & allowed).any():
            first = int(held.argmax())
            fault = Fault("barrier in a part of a warp", first)
            raise EmulationError(self._describe(fault, threads, int(threads.pc[first])))

    def _check_guarded(self, threads: Threads, pc: int, active: np.ndarray) -> None:
        """Warps that part, of CTAs with loops of different lengths, have products of their own on the way."""
        if self.program.module.instructions[pc].opcode == "wgmma":
            return
        for product in threads.pending["wgmma"]:
            names = product.instruction.guarded & self.program.names[pc]
            if names and active[product.warps * WARP].any():
                name = sorted(names)[0]
                raise Fault(f"{name} is used while a wgmma still writes it: a wait is missing")

    def _describe(self, fault: Fault, threads: Threads, pc: int) -> str:
        instruction = self.program.module.instructions[pc]
        who = "" if fault.thread is None else f" by {threads.describe(fault.thread)}"
        source = f", {instruction.source}" if instruction.source else ""
        return f"{fault}{who} (PTX line {instruction.line}{source}: {instruction.text})"

    def _count_instructions(self) -> None:
        counters, histogram = self.counters, Counter()
        for instruction, count in zip(self.program.module.instructions, self.executed.tolist(), strict=True):
            name = instruction.opcode
            if name in ("ld", "st", "cp", "wgmma", "atom", "red"):
                name = ".".join((name, *instruction.modifiers[:1]))
            histogram[name] += count
        counters.instructions.update({name: count for name, count in histogram.items() if count})
        counters.warp_instructions += int(self.executed.sum())
        counters.tensor_core_instructions += sum(histogram[name] for name in TENSOR_CORE_OPCODES)
