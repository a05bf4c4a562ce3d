"""cvt: conversions between formats, with rounding, saturation and packing."""

from collections.abc import Callable

import numpy as np

from .decode import Decoder, Execute, opcode
from .errors import EmulationError
from .formats import Format, flush_subnormals, format_of, round_to_bf16, round_to_tf32
from .threads import Mask, Threads, write

_TO_WHOLE = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}
_INTEGER = ("u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64")
_FLOAT = ("f16", "bf16", "f32", "f64")


@opcode("cvt")
def _convert(d: Decoder) -> Execute:
    source = d.format(*_INTEGER, *_FLOAT)
    result = d.format(*_INTEGER, *_FLOAT, "tf32", "f16x2", "bf16x2")
    if result.lanes == 2:
        return _convert_pair(d, source, result)
    if result.name == "tf32":
        return _convert_to_tf32(d, source)
    if result.is_float:
        return _apply(d, source, result, _to_float(d, source, result))
    return _apply(d, source, result, _from_float(d, source, result) if source.is_float else _resize(d, result))


def _apply(d: Decoder, source: Format, result: Format, function: Callable) -> Execute:
    """Registers may be wider than the types: what is above a result is its sign or zero, of a source ignored."""
    texts = d.text(), d.text()
    into = d.register_size(texts[0])
    is_register = texts[1] in d.program.register_types
    out_of = d.register_size(texts[1]) if is_register else source.bits // 8
    if into * 8 < result.bits or out_of * 8 < source.bits:
        raise EmulationError("a register is too narrow")
    target, operand = d.target(np.dtype(f"u{into}"), texts[0]), d.source(np.dtype(f"u{out_of}"), texts[1])

    def execute(threads: Threads, mask: Mask) -> None:
        raw = threads.arrays[operand].astype(source.raw)
        value = function(source.decode(raw) if source.is_float else raw.view(source.dtype))
        if value.dtype.itemsize != into:
            value = value.astype(f"{'i' if result.kind == 's' else 'u'}{into}")
        write(threads.arrays[target], value.view(f"u{into}"), mask)

    return execute


def _to_float(d: Decoder, source: Format, result: Format) -> Callable:
    whole = d.take(*_TO_WHOLE, default="none")
    rounding = d.take("rn", "rz", default="rn")
    flush, saturate, relu = d.flag("ftz"), d.flag("sat"), d.flag("relu")
    if rounding == "rz" and result.name != "bf16":
        raise EmulationError(f"rounding towards zero to {result.name}")

    def convert(value: np.ndarray) -> np.ndarray:
        if source.kind in "us":
            value = _integer_to_float(value, result)
        if flush and source.name == "f32":
            value = flush_subnormals(value)
        if whole != "none":
            value = _TO_WHOLE[whole](value)
        if saturate:
            value = np.where(np.isnan(value), value.dtype.type(0), np.clip(value, 0, 1))
        if relu:
            value = np.maximum(value, 0)
        if result.name == "bf16":
            return round_to_bf16(value, rounding)
        raw = result.encode(value)
        return flush_subnormals(raw.view(np.float32)).view(np.uint32) if flush and result.name == "f32" else raw

    return convert


def _integer_to_float(value: np.ndarray, result: Format) -> np.ndarray:
    """float32 where that is the result, else float64, which 64-bit integers may not fit: those raise."""
    if result.name == "f32":
        return value.astype(np.float32)
    wide = value.astype(np.float64)
    if result.bits == 16 and value.dtype.itemsize == 8 and (np.abs(wide) >= 2.0**53).any():
        raise EmulationError(f"conversion of an integer beyond 2^53 to {result.name}")
    return wide


def _from_float(d: Decoder, source: Format, result: Format) -> Callable:
    whole = _TO_WHOLE[d.take(*_TO_WHOLE)]
    flush = d.flag("ftz")
    d.flag("sat")  # conversions to integers saturate anyway
    limits = np.iinfo(result.dtype)
    above = 2.0**limits.bits if limits.min == 0 else 2.0 ** (limits.bits - 1)
    # NaN becomes 0; from f64 or to 64 bits it becomes the highest bit.
    odd = 1 << (result.bits - 1) if source.bits == 64 or result.bits == 64 else 0
    of_nan = np.array(odd, result.raw).view(result.dtype)

    def convert(value: np.ndarray) -> np.ndarray:
        if flush and source.name == "f32":
            value = flush_subnormals(value)
        value = whole(value.astype(np.float64))
        inside = (value > limits.min) & (value < above)
        number = np.where(inside, value, 0).astype(result.dtype)
        number = np.where(value >= above, limits.max, number)
        number = np.where(value <= limits.min, limits.min, number)
        return np.where(np.isnan(value), of_nan, number).astype(result.dtype)

    return convert


def _resize(d: Decoder, result: Format) -> Callable:
    saturate = d.flag("sat")
    limits = np.iinfo(result.dtype)

    def convert(value: np.ndarray) -> np.ndarray:
        if saturate:
            low, high = max(limits.min, np.iinfo(value.dtype).min), min(limits.max, np.iinfo(value.dtype).max)
            value = np.clip(value, low, high)
        return value.astype(result.dtype)

    return convert


def _convert_to_tf32(d: Decoder, source: Format) -> Execute:
    if source.name != "f32":
        raise EmulationError(f"conversion of {source.name} to tf32")
    mode = d.take("rna", "rn", "rz")
    relu = d.flag("relu")
    return _apply(d, source, format_of("b32"), lambda a: round_to_tf32(np.maximum(a, 0) if relu else a, mode))


def _convert_pair(d: Decoder, source: Format, result: Format) -> Execute:
    """cvt.rn.f16x2.f32 d, a, b: a goes to the upper half, b to the lower."""
    if source.name != "f32":
        raise EmulationError(f"conversion of {source.name} to {result.name}")
    d.take("rn")
    relu = d.flag("relu")
    half = format_of(result.name[:-2])
    target, upper, lower = d.target(np.uint32), d.source(np.uint32), d.source(np.uint32)

    def execute(threads: Threads, mask: Mask) -> None:
        halves = []
        for slot in (upper, lower):
            value = threads.arrays[slot].view(np.float32)
            halves.append(half.encode(np.maximum(value, 0) if relu else value).astype(np.uint32))
        write(threads.arrays[target], halves[0] << np.uint32(16) | halves[1], mask)

    return execute
