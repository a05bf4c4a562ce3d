"""mma.sync, ldmatrix and stmatrix: matrices spread over the lanes of a warp.

Products are exact and sums are float32 here; hardware adds in an order, and with a truncation, of its own.
"""

import numpy as np

from .decode import Decoder, Execute, opcode
from .errors import EmulationError
from .fragments import accumulator, operand_a, operand_b, read_elements, write_elements, write_raw
from .threads import WARP, Mask, Threads
from .warp import require_full_warps

_ROW_BYTES = 16
_FRAGMENT_ROW = np.arange(WARP) // 4
_FRAGMENT_PAIR = np.arange(WARP) % 4


@opcode("mma")
def _multiply(d: Decoder) -> Execute:
    for name in ("sync", "aligned", "row", "col"):
        d.take(name)
    depth = int(d.matching("m16n8k(4|8|16)").group(1))
    result = d.format("f32", "f16")
    kind = d.format("f16", "bf16", "tf32")
    if d.format("f16", "bf16", "tf32") != kind or d.format("f32", "f16") != result:
        raise EmulationError("operands of different formats")
    if depth not in ((4, 8) if kind.name == "tf32" else (8, 16)) or (result.bits == 16 and kind.name != "f16"):
        raise EmulationError("there is no such shape for these formats")
    targets = [d.target(np.uint32, text) for text in d.elements()]
    a, b, c = ([d.source(np.uint32, text) for text in d.elements()] for _ in range(3))
    expected = [result.bits // 8, depth * kind.bits // 64, depth * kind.bits // 128, result.bits // 8]
    if [len(targets), len(a), len(b), len(c)] != expected:
        raise EmulationError(f"expected {expected} registers")
    order_a, order_b = operand_a(kind.bits, depth), operand_b(kind.bits, depth)
    order_c, order_d = accumulator(result.bits, 8)

    def execute(threads: Threads, mask: Mask) -> None:
        warps = np.flatnonzero(require_full_warps(threads, mask, "mma"))
        left = read_elements(threads, a, kind, warps)[:, order_a].reshape(-1, 16, depth)
        right = read_elements(threads, b, kind, warps)[:, order_b].reshape(-1, 8, depth)
        start = read_elements(threads, c, result, warps)[:, order_c].reshape(-1, 16, 8)
        total = np.matmul(left, right.transpose(0, 2, 1)) + start
        write_elements(threads, targets, result, total.reshape(len(warps), -1)[:, order_d], warps)

    return execute


def _matrices(d: Decoder) -> tuple[int, bool]:
    for name in ("sync", "aligned", "m8n8"):
        d.take(name)
    count, transposed = int(d.take("x1", "x2", "x4")[1:]), d.flag("trans")
    d.take("shared", "shared::cta")
    d.format("b16")
    d.program.accesses_shared(_ROW_BYTES)
    return count, transposed


def _addressing_threads(warps: np.ndarray, count: int) -> np.ndarray:
    """Threads that hold a row's address: lanes 0-7 for the first matrix, 8-15 for the second ..."""
    return (warps[:, None] * WARP + np.arange(8 * count)).reshape(-1)


@opcode("ldmatrix")
def _load_matrices(d: Decoder) -> Execute:
    count, transposed = _matrices(d)
    targets, address = [d.target(np.uint32, text) for text in d.elements()], d.address()
    if len(targets) != count:
        raise EmulationError(f"{len(targets)} registers for {count} matrices")

    def execute(threads: Threads, mask: Mask) -> None:
        warps = np.flatnonzero(require_full_warps(threads, mask, "ldmatrix"))
        at = _addressing_threads(warps, count)
        addresses = address.values(threads)[at]
        shared = threads.wave.shared_memory
        positions = shared.locate(addresses, threads.cta[at], _ROW_BYTES, at, "ldmatrix")
        threads.wave.count_shared("ldmatrix", addresses, _ROW_BYTES, at)
        matrices = shared.load(positions, 2, 8, threads.stamp[at], at).reshape(-1, count, 8, 8).astype(np.uint32)
        if transposed:
            matrices = matrices.transpose(0, 1, 3, 2)
        low = matrices[:, :, _FRAGMENT_ROW, 2 * _FRAGMENT_PAIR]
        high = matrices[:, :, _FRAGMENT_ROW, 2 * _FRAGMENT_PAIR + 1]
        write_raw(threads, targets, low | high << np.uint32(16), warps)

    return execute


@opcode("stmatrix")
def _store_matrices(d: Decoder) -> Execute:
    count, transposed = _matrices(d)
    address, sources = d.address(), [d.source(np.uint32, text) for text in d.elements()]
    if len(sources) != count:
        raise EmulationError(f"{len(sources)} registers for {count} matrices")

    def execute(threads: Threads, mask: Mask) -> None:
        warps = np.flatnonzero(require_full_warps(threads, mask, "stmatrix"))
        at = _addressing_threads(warps, count)
        matrices = np.empty((len(warps), count, 8, 8), np.uint16)
        for place, slot in enumerate(sources):
            values = threads.by_warp(threads.arrays[slot])[warps]
            matrices[:, place, _FRAGMENT_ROW, 2 * _FRAGMENT_PAIR] = values.astype(np.uint16)
            matrices[:, place, _FRAGMENT_ROW, 2 * _FRAGMENT_PAIR + 1] = (values >> np.uint32(16)).astype(np.uint16)
        if transposed:
            matrices = matrices.transpose(0, 1, 3, 2)
        addresses = address.values(threads)[at]
        shared = threads.wave.shared_memory
        positions = shared.locate(addresses, threads.cta[at], _ROW_BYTES, at, "stmatrix")
        threads.wave.count_shared("stmatrix", addresses, _ROW_BYTES, at)
        shared.store(positions, matrices.reshape(-1, 8), threads.stamp[at], at)

    return execute
