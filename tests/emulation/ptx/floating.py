"""Floating-point arithmetic, rounded as the hardware documents.

Approximations (ex2.approx, rcp.approx, tanh.approx ...) give the exact value, rounded once: the hardware may
be off by the ulps that the PTX ISA allows, 2 for most and 2^-11 relative for tanh.
"""

from collections.abc import Callable

import numpy as np

from .decode import Decoder, Execute, opcode
from .errors import EmulationError
from .formats import Format, flush_subnormals, to_odd
from .threads import Mask, Threads, write

_PACKED = ("f16", "bf16", "f16x2", "bf16x2", "f32", "f32x2", "f64")


def _rounded(d: Decoder, kind: Format, count: int, function: Callable) -> Execute:
    """target = round(function(*sources)) with .ftz and .sat, operands decoded."""
    if kind.kind not in ("f", "bf"):
        raise EmulationError(f"arithmetic on {kind.name}")
    flush, saturate = d.flag("ftz"), d.flag("sat")
    target, sources = d.target(kind.raw), d.sources(kind.raw, count)

    def execute(threads: Threads, mask: Mask) -> None:
        operands = [kind.decode(threads.arrays[source]) for source in sources]
        if flush and kind.bits == 32:
            operands = [flush_subnormals(operand) for operand in operands]
        value = function(*operands)
        if saturate:
            value = np.where(np.isnan(value), value.dtype.type(0), np.clip(value, 0, 1))
        if flush and kind.bits == 32:
            value = flush_subnormals(value)
        write(threads.arrays[target], kind.encode(value), mask)

    return execute


def float_arithmetic(d: Decoder, kind: Format) -> Execute:
    """add, sub, mul, min, max, neg, abs and div on floats."""
    if d.opcode in ("neg", "abs"):
        return _rounded(d, kind, 1, np.negative if d.opcode == "neg" else np.abs)
    if d.opcode in ("min", "max"):
        return _rounded(d, kind, 2, _extremum(d))
    if d.opcode == "div":
        d.take("rn", "full", "approx")
        return _rounded(d, kind, 2, np.divide)
    functions = {"add": np.add, "sub": np.subtract, "mul": np.multiply}
    if d.opcode not in functions:
        raise EmulationError(f"{d.opcode} of {kind.name}")
    d.flag("rn")  # the only rounding there is without a modifier too
    return _rounded(d, kind, 2, functions[d.opcode])


def _extremum(d: Decoder) -> Callable:
    """NaN loses unless .NaN; -0 is less than +0. With .xorsign.abs: of magnitudes, with the product's sign."""
    if d.flag("xorsign"):
        d.take("abs")
        of_magnitudes = _extremum(d)
        return lambda a, b: np.copysign(of_magnitudes(np.abs(a), np.abs(b)), np.copysign(1, a) * np.copysign(1, b))
    choose = {
        ("min", False): np.fmin,
        ("max", False): np.fmax,
        ("min", True): np.minimum,
        ("max", True): np.maximum,
    }[d.opcode, d.flag("NaN")]
    smaller = d.opcode == "min"

    def extremum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        value = choose(a, b)
        zeros = (a == 0) & (b == 0)
        if zeros.any():
            negative = np.signbit(a) | np.signbit(b) if smaller else np.signbit(a) & np.signbit(b)
            value = np.where(zeros, np.where(negative, -0.0, 0.0).astype(value.dtype), value)
        return value

    return extremum


@opcode("fma")
def _fused_multiply_add(d: Decoder) -> Execute:
    kind = d.format(*_PACKED)
    d.take("rn")
    relu = d.flag("relu")
    fused = fma_double if kind.bits == 64 else fma_single

    def function(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
        # Rounded to odd for 16 bits: encode rounds once more.
        value = fused(a, b, c) if kind.bits > 16 else to_odd(_fma_odd(a, b, c))
        return np.maximum(value, 0) if relu else value

    return _rounded(d, kind, 3, function)


def fma_single(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """a * b + c of float32, rounded once. The product is exact in float64; the sum is, but for its last digit."""
    product = a.astype(np.float64) * b
    total = product + c
    # Rounding to float32 afterwards goes wrong only if the rounded sum looks like a tie, or is subnormal there.
    suspicious = (total.view(np.int64) & 0x1FFFFFFF) == 0x10000000
    suspicious |= np.abs(total) < 2.0**-125
    if suspicious.any():
        total = np.where(suspicious, _fma_odd(a, b, c), total)
    return total.astype(np.float32)


def _fma_odd(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """a * b + c of float32 in float64, rounded to odd."""
    product = a.astype(np.float64) * b
    return _add_odd(product, np.broadcast_to(c, np.shape(product)).astype(np.float64))


def _add_exact(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rounded sum and what rounding took away (Knuth's TwoSum)."""
    total = a + b
    other = total - a
    return total, (a - (total - other)) + (b - other)


def _add_odd(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    total, lost = _add_exact(a, b)
    even = (lost != 0) & np.isfinite(lost) & (np.ascontiguousarray(total).view(np.int64) & 1 == 0)
    return np.where(even, np.nextafter(total, np.where(lost > 0, np.inf, -np.inf)), total)


def fma_double(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """a * b + c of float64, rounded once (Boldo and Melquiond, "Emulation of FMA", 2008)."""
    a, b, c = np.broadcast_arrays(a, b, c)
    plain = a * b + c
    high = a * b
    parts = [_split(a), _split(b)]
    (a_high, a_low), (b_high, b_low) = parts
    low = ((a_high * b_high - high) + a_high * b_low + a_low * b_high) + a_low * b_low
    upper, lower = _add_exact(c, low)
    sum_high, sum_low = _add_exact(high, upper)
    exact = sum_high + _add_odd(lower, sum_low)
    ordinary = np.isfinite(exact) & (np.abs(high) > 1e-280) & (np.abs(high) < 1e280)
    ordinary &= (np.abs(a) < 1e290) & (np.abs(b) < 1e290)
    return np.where(ordinary, exact, plain)


def _split(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """a = high + low with 26 digits each (Veltkamp)."""
    scaled = a * 134217729.0
    high = scaled - (scaled - a)
    return high, a - high


@opcode("rcp", "sqrt", "rsqrt", "ex2", "lg2", "sin", "cos", "tanh")
def _function(d: Decoder) -> Execute:
    kind = d.format(*_PACKED)
    roundings = {"rcp": ("rn", "approx"), "sqrt": ("rn", "approx")}.get(d.opcode, ("approx",))
    d.take(*roundings)
    functions = {
        "rcp": lambda a: 1 / a,
        "sqrt": np.sqrt,
        "rsqrt": lambda a: 1 / np.sqrt(a),
        "ex2": np.exp2,
        "lg2": np.log2,
        "sin": np.sin,
        "cos": np.cos,
        "tanh": np.tanh,
    }
    function = functions[d.opcode]

    def in_double(a: np.ndarray) -> np.ndarray:
        value = function(a.astype(np.float64))
        return value if kind.bits == 64 else to_odd(value) if kind.bits == 16 else value.astype(np.float32)

    return _rounded(d, kind, 1, in_double)


@opcode("copysign")
def _copy_sign(d: Decoder) -> Execute:
    """The sign of the first operand, the size of the second."""
    kind = d.format("f32", "f64")
    return _rounded(d, kind, 2, lambda a, b: np.copysign(b, a))


@opcode("testp")
def _test_property(d: Decoder) -> Execute:
    kind = d.format("f32", "f64")
    name = d.take("finite", "infinite", "number", "notanumber")
    tests = {
        "finite": np.isfinite,
        "infinite": np.isinf,
        "number": lambda a: ~np.isnan(a),
        "notanumber": np.isnan,
    }
    target, source = d.target(bool), d.source(kind.raw)

    def execute(threads: Threads, mask: Mask) -> None:
        write(threads.arrays[target], tests[name](kind.decode(threads.arrays[source])), mask)

    return execute
