"""mov, cvta, selp and setp: what moves or compares numbers of any type."""

from collections.abc import Callable

import numpy as np

from .decode import Decoder, Execute, elementwise, opcode
from .errors import EmulationError
from .formats import UNSIGNED, flush_subnormals
from .threads import Mask, Threads, write

_BITS = ("b16", "b32", "b64", "u16", "u32", "u64", "s16", "s32", "s64", "f32", "f64")


@opcode("mov")
def _move(d: Decoder) -> Execute:
    if d.take("pred", default="") == "pred":
        return elementwise(d, bool, bool, 1, lambda a: a)
    kind = d.format(*_BITS)
    texts = d.text(), d.text()
    if texts[0].startswith("{"):
        return _unpack(d, kind.raw, kind.bits, *texts)
    if texts[1].startswith("{"):
        return _pack(d, kind.raw, kind.bits, *texts)
    target, source = d.target(kind.raw, texts[0]), d.source(kind.raw, texts[1])

    def execute(threads: Threads, mask: Mask) -> None:
        write(threads.arrays[target], threads.arrays[source], mask)

    return execute


def _parts(text: str, bits: int) -> tuple[list[str], int]:
    parts = [part.strip() for part in text.strip("{} ").split(",")]
    if bits % len(parts) or bits // len(parts) not in UNSIGNED:
        raise EmulationError(f"{bits} bits in {len(parts)} parts")
    return parts, bits // len(parts)


def _unpack(d: Decoder, raw: type, bits: int, targets: str, source: str) -> Execute:
    names, width = _parts(targets, bits)
    part = UNSIGNED[width]
    slots, whole = [d.target(part, name) for name in names], d.source(raw, source)

    def execute(threads: Threads, mask: Mask) -> None:
        value = threads.arrays[whole].copy()
        for place, slot in enumerate(slots):
            write(threads.arrays[slot], (value >> raw(width * place)).astype(part), mask)

    return execute


def _pack(d: Decoder, raw: type, bits: int, target: str, sources: str) -> Execute:
    names, width = _parts(sources, bits)
    slots, whole = [d.source(UNSIGNED[width], name) for name in names], d.target(raw, target)

    def execute(threads: Threads, mask: Mask) -> None:
        value = np.zeros(1, raw)
        for place, slot in enumerate(slots):
            value = value | threads.arrays[slot].astype(raw) << raw(width * place)
        write(threads.arrays[whole], value, mask)

    return execute


@opcode("cvta")
def _convert_address(d: Decoder) -> Execute:
    """Global addresses are generic addresses; a generic address of shared memory is not modelled."""
    kind = d.format("u64", "u32")
    d.take("to", default="none")
    if d.take("global", "param", "shared") != "global":
        raise EmulationError("only global addresses can be generic")
    return elementwise(d, kind.raw, kind.raw, 1, lambda a: a)


@opcode("selp")
def _select(d: Decoder) -> Execute:
    kind = d.format(*_BITS)
    target, sources = d.target(kind.raw), d.sources(kind.raw, 2)
    predicate, negated = d.predicate()

    def execute(threads: Threads, mask: Mask) -> None:
        arrays = threads.arrays
        first, second = (arrays[source] for source in sources)
        chosen = np.where(arrays[predicate], second, first) if negated else np.where(arrays[predicate], first, second)
        write(arrays[target], chosen, mask)

    return execute


_ORDERED = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}
_UNSIGNED_ORDER = {"lo": np.less, "ls": np.less_equal, "hi": np.greater, "hs": np.greater_equal}


def _comparison(name: str, is_float: bool) -> Callable:
    if not is_float:
        return _ORDERED[name]
    if name == "num":
        return lambda a, b: ~(np.isnan(a) | np.isnan(b))
    if name == "nan":
        return lambda a, b: np.isnan(a) | np.isnan(b)
    if name == "ne":  # ordered: false where either is NaN, unlike numpy's
        return lambda a, b: (a < b) | (a > b)
    if name in _ORDERED:
        return _ORDERED[name]
    ordered = _ORDERED[name[:-1]]
    return lambda a, b: ordered(a, b) | np.isnan(a) | np.isnan(b)


@opcode("setp")
def _compare(d: Decoder) -> Execute:
    kind = d.format(*_BITS, "f16", "bf16", "f16x2", "bf16x2")
    flush = flush_subnormals if d.flag("ftz") else lambda value: value
    unordered = tuple(name + "u" for name in _ORDERED)
    name = d.take(*_ORDERED, *(("num", "nan", *unordered) if kind.is_float else _UNSIGNED_ORDER))
    compare = _UNSIGNED_ORDER[name] if name in _UNSIGNED_ORDER else _comparison(name, kind.is_float)
    combine = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}.get(
        d.take("and", "or", "xor", default="none")
    )
    names = [text.strip() for text in d.text().split("|")]
    if len(names) != kind.lanes:
        raise EmulationError(f"{len(names)} results of a comparison of {kind.name}")
    targets, sources = [d.target(bool, text) for text in names], d.sources(kind.dtype, 2)
    third = d.predicate() if combine else None

    def execute(threads: Threads, mask: Mask) -> None:
        arrays = threads.arrays
        operands = [flush(kind.decode(arrays[s])) if kind.is_float else arrays[s] for s in sources]
        result = compare(*operands)
        for lane, target in enumerate(targets):  # of packed numbers, one result for each half
            value = result[:, lane] if len(targets) > 1 else result
            if third is not None:
                value = combine(value, ~arrays[third[0]] if third[1] else arrays[third[0]])
            write(arrays[target], value, mask)

    return execute
