"""wgmma: matrix products of four warps, whose second operand, and perhaps first, lies in shared memory.

Each warp computes its own 16 of the 64 rows, so warps need not run together. A product is computed at its wait:
by then what it reads from shared memory must still be what it was when it was issued, and until then no other
instruction may touch its accumulators. A first operand in registers is read at once: Triton's loops load the next
one into the same registers before the wait, and leave it to ptxas to keep them apart. Layouts are those of the
PTX ISA, "Matrix-Descriptor Format".
"""

from dataclasses import dataclass

import numpy as np

from .decode import Decoder, Execute, opcode
from .errors import EmulationError, Fault
from .formats import Format
from .fragments import accumulator, operand_a, read_elements, write_elements
from .shared_memory import SEVERAL_WARPS
from .threads import WARP, Mask, Threads, active_threads
from .warp import require_full_warps

_ROWS = 16
_CHUNK = 16  # bytes that stay together under every swizzle
# Bits 62 and 63 of a descriptor: bytes of a row of the swizzle pattern, and how many row bits are mixed in.
_SWIZZLES = {0: (16, 0), 1: (128, 7), 2: (64, 3), 3: (32, 1)}


@dataclass(frozen=True)
class _Tile:
    """An operand in shared memory: `rows` x `depth` numbers behind a descriptor in register `slot`."""

    slot: int
    rows: int
    depth: int
    kind: Format
    transposed: bool  # rows are contiguous, not depth

    def locate(self, threads: Threads, warps: np.ndarray) -> np.ndarray:
        """Positions of its chunks in shared memory, [len(warps), chunks]."""
        descriptors = np.broadcast_to(threads.arrays[self.slot], (threads.count,))[warps * WARP].astype(np.uint64)
        if (descriptors >> np.uint64(49) & np.uint64(7)).any():
            raise Fault("wgmma with a base offset is not modelled", int(warps[0]) * WARP)
        # Loops use the same descriptors again and again, and so do CTAs.
        known = {int(descriptor): self._chunk_addresses(int(descriptor)) for descriptor in np.unique(descriptors)}
        addresses = np.stack([known[int(descriptor)] for descriptor in descriptors])
        at = np.repeat(warps * WARP, addresses.shape[1])
        positions = threads.wave.shared_memory.locate(addresses.reshape(-1), threads.cta[at], _CHUNK, at, "wgmma")
        return positions.reshape(addresses.shape)

    def read(self, threads: Threads, leaders: np.ndarray, positions: np.ndarray, together: bool) -> None:
        """Count as a reader; `together`: all warps of the group of each leader do."""
        stamps = threads.stamp[leaders * WARP] | (SEVERAL_WARPS if together else 0)
        chunks = positions.shape[1]
        at, by = np.repeat(leaders * WARP, chunks), np.repeat(stamps, chunks)
        threads.wave.shared_memory.read(positions.reshape(-1), _CHUNK, by, at)

    def peek(self, threads: Threads, positions: np.ndarray) -> np.ndarray:
        """[leaders, rows, depth] float32."""
        size = self.kind.bits // 8
        raw = threads.wave.shared_memory.peek(positions.reshape(-1), size, _CHUNK // size)
        numbers = self.kind.decode(np.ascontiguousarray(raw).reshape(-1))
        if self.transposed:
            return numbers.reshape(len(positions), self.depth, self.rows).transpose(0, 2, 1)
        return numbers.reshape(len(positions), self.rows, self.depth)

    def _chunk_addresses(self, descriptor: int) -> np.ndarray:
        """Where each chunk lies: row by row, or depth by depth where transposed."""
        start, leading, stride = ((descriptor >> at & 0x3FFF) << 4 for at in (0, 16, 32))
        swizzle = descriptor >> 62
        pitch, mixed = _SWIZZLES[swizzle]
        size = self.kind.bits // 8
        if self.transposed:
            k, byte = np.ogrid[: self.depth, 0 : self.rows * size : _CHUNK]
            if swizzle == 0:
                raise EmulationError("a transposed operand without swizzle")
            addresses = start + byte % pitch + byte // pitch * leading + k % 8 * pitch + k // 8 * stride
        else:
            row, byte = np.ogrid[: self.rows, 0 : self.depth * size : _CHUNK]
            across = byte // _CHUNK * leading if swizzle == 0 else byte
            addresses = start + row // 8 * stride + row % 8 * pitch + across
        return (addresses ^ (addresses >> 7 & mixed) << 4).reshape(-1)


@dataclass
class _Product:
    """One wgmma on its way for the warps `warps`; `leaders` are the first of those that run together."""

    instruction: "_Multiply"
    warps: np.ndarray
    leaders: np.ndarray
    group: np.ndarray  # [warps]
    keep: np.ndarray  # bool [warps]: add to the accumulator
    left_positions: np.ndarray | None  # [leaders, chunks]; None for an operand in registers
    right_positions: np.ndarray
    left: np.ndarray  # [warps, 16, depth], as issued
    right: np.ndarray  # [leaders, width, depth], as issued

    def part(self, units: np.ndarray) -> "_Product":
        """The part of some leaders, bool [leaders], and of the warps that run with them."""
        warps = np.repeat(units, len(self.warps) // len(self.leaders))
        return _Product(
            self.instruction,
            self.warps[warps],
            self.leaders[units],
            self.group[warps],
            self.keep[warps],
            None if self.left_positions is None else self.left_positions[units],
            self.right_positions[units],
            self.left[warps],
            self.right[units],
        )


class _Multiply:
    """A decoded wgmma.mma_async."""

    def __init__(self, d: Decoder):
        for name in ("mma_async", "sync", "aligned"):
            d.take(name)
        shape = d.matching(r"m64n(\d+)k(8|16)")
        self.width, self.depth = int(shape.group(1)), int(shape.group(2))
        self.kind = d.format("f16", "bf16", "tf32")
        if d.format("f16", "bf16", "tf32") != self.kind:
            raise EmulationError("operands of different formats")
        self.result = d.format("f32", "f16")
        if self.width % 8 or self.depth * self.kind.bits != 256:
            raise EmulationError("there is no such shape for this format")
        accumulators, left = d.elements(), d.elements()
        right = d.text()
        self.keep, self.keep_negated = d.predicate()
        self.signs = d.whole(), d.whole()
        in_registers = len(left) > 1
        may_transpose = [not in_registers, True] if self.kind.bits == 16 else []
        transposed = [bool(d.whole()) if possible else False for possible in may_transpose] or [False, False]
        self.accumulators = [d.target(np.uint32, name) for name in accumulators]
        self.left = (
            [d.source(np.uint32, name) for name in left]
            if in_registers
            else _Tile(d.source(np.uint64, left[0]), 64, self.depth, self.kind, transposed[0])
        )
        self.right = _Tile(d.source(np.uint64, right), self.width, self.depth, self.kind, transposed[1])
        if len(accumulators) != self.width * self.result.bits // 64 or (in_registers and len(left) != 4):
            raise EmulationError("another number of registers than the shape needs")
        self.guarded = frozenset(accumulators)
        d.program.accesses_shared(_CHUNK)

    def __call__(self, threads: Threads, mask: Mask) -> None:
        warps = np.flatnonzero(require_full_warps(threads, mask, "wgmma"))
        leaders = warps[:: _warps_together(threads, warps)]
        product = _Product(
            self,
            warps,
            leaders,
            threads.committed["wgmma"][warps * WARP],
            np.broadcast_to(threads.arrays[self.keep], (threads.count,))[warps * WARP] != self.keep_negated,
            self.left.locate(threads, leaders) if isinstance(self.left, _Tile) else None,
            self.right.locate(threads, leaders),
            np.empty(0),
            np.empty(0),
        )
        self._read(threads, product)
        product.left, product.right = self._operands(threads, product)
        threads.pending["wgmma"].append(product)
        threads.guarded = threads.guarded | self.guarded

    def _read(self, threads: Threads, product: _Product) -> None:
        together = len(product.leaders) < len(product.warps)
        self.right.read(threads, product.leaders, product.right_positions, together)
        if isinstance(self.left, _Tile):
            self.left.read(threads, product.leaders, product.left_positions, together)

    def _operands(self, threads: Threads, product: _Product) -> tuple[np.ndarray, np.ndarray]:
        """[warps, 16, depth] and [leaders, width, depth], as they are now."""
        warps, leaders = product.warps, product.leaders
        right = self.right.peek(threads, product.right_positions)
        if not isinstance(self.left, _Tile):
            left = read_elements(threads, self.left, self.kind, warps)[:, operand_a(self.kind.bits, self.depth)]
            return left.reshape(-1, _ROWS, self.depth), right
        rows = self.left.peek(threads, product.left_positions).reshape(len(leaders), 4, _ROWS, self.depth)
        leader = np.repeat(np.arange(len(leaders)), len(warps) // len(leaders))
        return rows[leader, threads.warp[warps * WARP] % 4], right

    def land(self, threads: Threads, product: _Product) -> None:
        left, right = self._operands(threads, product)
        if product.left_positions is None:
            left = product.left
        if not (_same(left, product.left) and _same(right, product.right)):
            raise Fault("an operand of a wgmma changed before the wait for it", int(product.warps[0]) * WARP)
        self._read(threads, product)
        warps, count = product.warps, len(product.warps)
        to_matrix, to_registers = accumulator(self.result.bits, self.width)
        before = read_elements(threads, self.accumulators, self.result, warps)[:, to_matrix]
        before = np.where(product.keep[:, None], before, np.float32(0)).reshape(count, _ROWS, self.width)
        # The rows of a warp at a time: how many warps multiply together must not show in how numpy rounds.
        by_warp = left.reshape(len(right), -1, _ROWS, self.depth)  # [units, warps of a unit, rows, depth]
        total = np.matmul(by_warp, right.transpose(0, 2, 1)[:, None]).reshape(count, _ROWS, self.width)
        total = total * np.float32(self.signs[0] * self.signs[1]) + before
        write_elements(threads, self.accumulators, self.result, total.reshape(count, -1)[:, to_registers], warps)


def _warps_together(threads: Threads, warps: np.ndarray) -> int:
    """4 where whole warpgroups execute this, 1 where each CTA runs one warp at a time."""
    return 4 if threads.warps_of_cta % 4 == 0 and len(warps) % 4 == 0 else 1


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(((a == b) | ((a != a) & (b != b))).all())


@opcode("wgmma")
def _warpgroup(d: Decoder) -> Execute:
    step = d.take("fence", "commit_group", "wait_group", default="mma_async")
    if step == "mma_async":
        return _Multiply(d)
    d.take("sync"), d.take("aligned")
    if step == "fence":
        return lambda threads, mask: None
    return _commit if step == "commit_group" else _waiter(d.whole())


def _commit(threads: Threads, mask: Mask) -> None:
    threads.committed["wgmma"][active_threads(threads, mask)] += 1


def _waiter(outstanding: int) -> Execute:
    """Finish what the waiting warps committed, all but the last `outstanding` groups, in the order of issue."""

    def execute(threads: Threads, mask: Mask) -> None:
        waiting = require_full_warps(threads, mask, "wgmma.wait_group")
        due = threads.committed["wgmma"][::WARP] - outstanding
        left = []
        for product in threads.pending["wgmma"]:
            lands = waiting[product.warps] & (product.group < due[product.warps])
            if lands.all():
                product.instruction.land(threads, product)
            elif not lands.any():
                left.append(product)
            else:
                units = lands.reshape(len(product.leaders), -1)
                if (units.any(1) != units.all(1)).any():
                    raise Fault("warps of a warpgroup wait for different wgmma groups", int(product.warps[0]) * WARP)
                product.instruction.land(threads, product.part(units.all(1)))
                left.append(product.part(~units.all(1)))
        threads.pending["wgmma"] = left
        threads.guarded = frozenset().union(*(product.instruction.guarded for product in left))

    return execute
