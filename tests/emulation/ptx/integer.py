"""Integer arithmetic, bits, shifts, moves of bits between registers; and what works on any type: mov, selp, setp."""

from collections.abc import Callable

import numpy as np

from .decode import Decoder, Execute, elementwise, opcode
from .errors import EmulationError
from .floating import float_arithmetic
from .formats import SIGNED, UNSIGNED, Format
from .threads import Mask, Threads, write

INTEGERS = ("u16", "s16", "u32", "s32", "u64", "s64")
PACKED = ("u16x2", "s16x2")
FLOATS = ("f16", "bf16", "f16x2", "bf16x2", "f32", "f32x2", "f64")


@opcode("add", "sub", "mul", "mad", "min", "max", "neg", "abs", "div", "rem")
def _arithmetic(d: Decoder) -> Execute:
    kind = d.format(*INTEGERS, *PACKED, *FLOATS)
    if kind.is_float:
        return float_arithmetic(d, kind)
    if kind.lanes == 2:
        return _packed(d, kind)
    if d.opcode in ("mul", "mad"):
        return _multiply(d, kind)
    functions = {
        "add": np.add,
        "sub": np.subtract,
        "min": np.minimum,
        "max": np.maximum,
        "neg": np.negative,
        "abs": np.abs,
        "div": lambda a, b: _divide(a, b)[0],
        "rem": lambda a, b: _divide(a, b)[1],
    }
    return elementwise(d, kind.dtype, kind.dtype, 1 if d.opcode in ("neg", "abs") else 2, functions[d.opcode])


def _packed(d: Decoder, kind: Format) -> Execute:
    """add, min and max of two halves of a register, each for itself."""
    functions = {"add": np.add, "min": np.minimum, "max": np.maximum}
    if d.opcode not in functions:
        raise EmulationError(f"{d.opcode} of {kind.name}")
    half = (SIGNED if kind.kind == "s" else UNSIGNED)[kind.bits]

    def halves(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        a, b = (np.ascontiguousarray(each).view(half) for each in np.broadcast_arrays(a, b))
        return functions[d.opcode](a, b).view(kind.raw)

    return elementwise(d, kind.raw, kind.raw, 2, halves)


def _divide(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quotient towards zero, and remainder. By zero, as the hardware does: all ones, and a."""
    a, b = np.broadcast_arrays(a, b)
    safe = np.where(b == 0, b.dtype.type(1), b)
    remainder = np.fmod(a, safe)
    quotient = (a - remainder) // safe
    ones = np.array(-1).astype(a.dtype)
    return np.where(b == 0, ones, quotient), np.where(b == 0, a, remainder)


def _multiply(d: Decoder, kind: Format) -> Execute:
    part = d.take("lo", "hi", "wide")
    if part == "lo":
        functions = {"mul": np.multiply, "mad": lambda a, b, c: a * b + c}
        return elementwise(d, kind.dtype, kind.dtype, 2 if d.opcode == "mul" else 3, functions[d.opcode])
    if kind.bits == 64 and part == "hi" and d.opcode == "mul":
        return elementwise(d, kind.dtype, kind.dtype, 2, _high_half)
    if kind.bits == 64:
        raise EmulationError(f"{d.opcode}.{part} of 64 bits")
    wide = (SIGNED if kind.kind == "s" else UNSIGNED)[2 * kind.bits]
    result = wide if part == "wide" else kind.dtype
    target, factors = d.target(result), d.sources(kind.dtype, 2)
    addend = d.source(result) if d.opcode == "mad" else None

    def execute(threads: Threads, mask: Mask) -> None:
        arrays = threads.arrays
        product = arrays[factors[0]].astype(wide) * arrays[factors[1]].astype(wide)
        if part == "hi":
            product = (product >> wide(kind.bits)).astype(result)
        write(arrays[target], product if addend is None else product + arrays[addend], mask)

    return execute


def _high_half(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The upper 64 bits of products of 64 bits."""
    half, low = np.uint64(32), np.uint64(0xFFFFFFFF)
    x, y = a.view(np.uint64), b.view(np.uint64)
    crossed = (x >> half) * (y & low) + ((x & low) * (y & low) >> half)
    other = (x & low) * (y >> half) + (crossed & low)
    high = (x >> half) * (y >> half) + (crossed >> half) + (other >> half)
    if a.dtype.kind == "i":  # a negative factor is 2^64 too large above
        high = high - np.where(a < 0, y, np.uint64(0)) - np.where(b < 0, x, np.uint64(0))
    return high.view(a.dtype)


@opcode("and", "or", "xor", "not")
def _logic(d: Decoder) -> Execute:
    if d.take("pred", default="") == "pred":
        return _predicate_logic(d)
    kind = d.format("b16", "b32", "b64")
    functions = {"and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor, "not": np.bitwise_not}
    return elementwise(d, kind.raw, kind.raw, 1 if d.opcode == "not" else 2, functions[d.opcode])


def _predicate_logic(d: Decoder) -> Execute:
    functions = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor, "not": np.logical_not}
    return elementwise(d, bool, bool, 1 if d.opcode == "not" else 2, functions[d.opcode])


@opcode("lop3")
def _lop3(d: Decoder) -> Execute:
    d.format("b32")
    target, sources, table = d.target(np.uint32), d.sources(np.uint32, 3), d.whole()

    def execute(threads: Threads, mask: Mask) -> None:
        a, b, c = (threads.arrays[source] for source in sources)
        result = np.zeros(1, np.uint32)
        for row in range(8):
            if table >> row & 1:
                bits = (a if row & 4 else ~a) & (b if row & 2 else ~b) & (c if row & 1 else ~c)
                result = result | bits
        write(threads.arrays[target], result, mask)

    return execute


@opcode("shl", "shr")
def _shift(d: Decoder) -> Execute:
    kind = d.format("b16", "b32", "b64", "u16", "u32", "u64", "s16", "s32", "s64")
    target, value, amount = d.target(kind.dtype), d.source(kind.dtype), d.source(np.uint32)
    left = d.opcode == "shl"

    def execute(threads: Threads, mask: Mask) -> None:
        a, n = threads.arrays[value], threads.arrays[amount]
        last = np.minimum(n, np.uint32(kind.bits - 1)).astype(kind.dtype)
        if left:
            shifted = np.where(n >= kind.bits, kind.dtype(0), a << last)
        elif kind.kind == "s":
            shifted = a >> last
        else:
            shifted = np.where(n >= kind.bits, kind.dtype(0), a >> last)
        write(threads.arrays[target], shifted, mask)

    return execute


@opcode("shf")
def _funnel_shift(d: Decoder) -> Execute:
    d.format("b32")
    left, clamp = d.take("l", "r") == "l", d.take("clamp", "wrap") == "clamp"

    def shift(low: np.ndarray, high: np.ndarray, amount: np.ndarray) -> np.ndarray:
        n = (np.minimum(amount, 32) if clamp else amount & np.uint32(31)).astype(np.uint64)
        pair = high.astype(np.uint64) << np.uint64(32) | low
        return ((pair << n) >> np.uint64(32) if left else pair >> n).astype(np.uint32)

    return elementwise(d, np.uint32, np.uint32, 3, shift)


@opcode("bfe")
def _extract_field(d: Decoder) -> Execute:
    kind = d.format("u32", "s32", "u64", "s64")
    target, value, position, length = (
        d.target(kind.dtype),
        d.source(kind.dtype),
        d.source(np.uint32),
        d.source(np.uint32),
    )
    unsigned, bits = kind.raw, kind.bits

    def execute(threads: Threads, mask: Mask) -> None:
        arrays = threads.arrays
        a = arrays[value]
        first, count = arrays[position] & np.uint32(255), arrays[length] & np.uint32(255)
        moved = np.minimum(first, bits - 1)
        # Beyond the highest bit follow copies of the sign, or zeros.
        shifted = (a >> moved.astype(kind.dtype)).view(unsigned)
        shifted = shifted if kind.kind == "s" else np.where(first >= bits, unsigned(0), shifted)
        full = unsigned((1 << bits) - 1)
        kept = np.where(
            count >= bits, full, (unsigned(1) << np.minimum(count, bits - 1).astype(unsigned)) - unsigned(1)
        )
        field = shifted & kept
        if kind.kind == "s":
            last = np.minimum(first.astype(np.int64) + count - 1, bits - 1).clip(0).astype(unsigned)
            negative = (a.view(unsigned) >> last & unsigned(1)).astype(bool) & (count > 0)
            field = np.where(negative, field | ~kept, field)
        write(arrays[target], field.view(kind.dtype), mask)

    return execute


@opcode("bfi")
def _insert_field(d: Decoder) -> Execute:
    kind = d.format("b32", "b64")
    unsigned, bits = kind.raw, kind.bits
    target, sources = d.target(unsigned), d.sources(unsigned, 2)
    position, length = d.sources(np.uint32, 2)

    def execute(threads: Threads, mask: Mask) -> None:
        arrays = threads.arrays
        field, base = (arrays[source] for source in sources)
        first, count = arrays[position] & np.uint32(255), arrays[length] & np.uint32(255)
        shift = np.minimum(first, bits - 1).astype(unsigned)
        ones = np.where(
            count >= bits,
            unsigned((1 << bits) - 1),
            (unsigned(1) << np.minimum(count, bits - 1).astype(unsigned)) - unsigned(1),
        )
        place = np.where(first >= bits, unsigned(0), ones << shift)
        write(arrays[target], (base & ~place) | ((field << shift) & place), mask)

    return execute


@opcode("prmt")
def _permute_bytes(d: Decoder) -> Execute:
    d.format("b32")

    def permute(a: np.ndarray, b: np.ndarray, selector: np.ndarray) -> np.ndarray:
        pair = b.astype(np.uint64) << np.uint64(32) | a
        result = np.zeros(1, np.uint32)
        for place in range(4):
            choice = selector >> np.uint32(4 * place) & np.uint32(15)
            byte = (pair >> (np.uint64(8) * (choice & np.uint32(7)))).astype(np.uint32) & np.uint32(255)
            sign = np.where(byte & np.uint32(128), np.uint32(255), np.uint32(0))
            result = result | np.where(choice & np.uint32(8), sign, byte) << np.uint32(8 * place)
        return result

    return elementwise(d, np.uint32, np.uint32, 3, permute)


@opcode("popc", "clz", "brev")
def _count_bits(d: Decoder) -> Execute:
    kind = d.format("b32", "b64")
    unsigned, bits = kind.raw, kind.bits

    def as_bits(a: np.ndarray) -> np.ndarray:
        return (a[:, None] >> np.arange(bits, dtype=unsigned)) & unsigned(1)  # [T, bits], lowest first

    functions: dict[str, Callable] = {
        "popc": lambda a: as_bits(a).sum(1).astype(np.uint32),
        "clz": lambda a: np.where(a == 0, bits, as_bits(a)[:, ::-1].argmax(1)).astype(np.uint32),
        "brev": lambda a: (as_bits(a)[:, ::-1] << np.arange(bits, dtype=unsigned)).sum(1).astype(unsigned),
    }
    return elementwise(d, unsigned if d.opcode == "brev" else np.uint32, unsigned, 1, functions[d.opcode])
