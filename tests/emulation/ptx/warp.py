"""Instructions that a whole warp executes together: shuffles, votes, reductions; fences, which do nothing here."""

import numpy as np

from .decode import Decoder, Execute, opcode
from .errors import EmulationError, Fault
from .threads import WARP, Mask, Threads, active_threads, write

_LANES = np.arange(WARP)


def require_members(threads: Threads, mask: Mask, members: np.ndarray, name: str) -> None:
    """Every lane that the member mask names executes this instruction now, and every lane here is named."""
    here = np.ones(threads.count, bool) if mask is None else mask
    live = here.reshape(-1, WARP).any(1)
    named = (members[:, None] >> _LANES.astype(np.uint32) & np.uint32(1)).astype(bool).reshape(-1, WARP, WARP)
    lanes = here.reshape(-1, WARP)
    # named[w, l] are the lanes that lane l of warp w names.
    wrong = lanes & (named != lanes[:, None, :]).any(2) & live[:, None]
    if wrong.any():
        raise Fault(f"{name} with a member mask that is not the lanes that execute it", int(wrong.argmax()))


def require_full_warps(threads: Threads, mask: Mask, name: str) -> np.ndarray:
    """Which warps execute an .aligned instruction: bool [W]; all lanes of a warp or none."""
    if mask is None:
        return np.ones(threads.count // WARP, bool)
    lanes = mask.reshape(-1, WARP)
    some = lanes.any(1)
    if (partial := some & ~lanes.all(1)).any():
        warp = int(partial.argmax())
        raise Fault(f"{name} is executed by a part of a warp", warp * WARP + int(lanes[warp].argmax()))
    return some


def _members(threads: Threads, mask: Mask, slot: int, name: str) -> None:
    values = threads.arrays[slot]
    if mask is None and (values == np.uint32(0xFFFFFFFF)).all():
        return
    require_members(threads, mask, np.broadcast_to(values, (threads.count,)), name)


@opcode("shfl")
def _shuffle(d: Decoder) -> Execute:
    d.format("b32")
    d.take("sync")
    mode = d.take("bfly", "up", "down", "idx")
    names = [name.strip() for name in d.text().split("|")]
    target = d.target(np.uint32, names[0])
    valid = d.target(bool, names[1]) if len(names) > 1 else None
    value, amount, clamp, members = d.sources(np.uint32, 4)

    def execute(threads: Threads, mask: Mask) -> None:
        _members(threads, mask, members, "shfl")
        values = threads.by_warp(threads.arrays[value])
        b, c = (threads.by_warp(threads.arrays[slot]).astype(np.int64) for slot in (amount, clamp))
        b, segment, limit = b & 31, c >> 8 & 31, c & 31
        last = (_LANES & segment) | (limit & ~segment)
        first = _LANES & segment
        lane = {"bfly": _LANES ^ b, "up": _LANES - b, "down": _LANES + b, "idx": first | (b & ~segment)}[mode]
        inside = lane >= last if mode == "up" else lane <= last
        lane = np.where(inside, lane, _LANES)
        if mask is not None:
            here = mask.reshape(-1, WARP)
            if (absent := here & ~np.take_along_axis(here, lane, 1)).any():
                raise Fault("shfl reads a lane that does not execute it", int(absent.argmax()))
        write(threads.arrays[target], np.take_along_axis(values, lane, 1).reshape(-1), mask)
        if valid is not None:
            write(threads.arrays[valid], inside.reshape(-1), mask)

    return execute


@opcode("vote")
def _vote(d: Decoder) -> Execute:
    d.take("sync")
    mode = d.take("ballot", "any", "all", "uni")
    d.format("b32" if mode == "ballot" else "pred") if mode == "ballot" else d.take("pred")
    target = d.target(np.uint32 if mode == "ballot" else bool)
    (predicate, negated), members = d.predicate(), d.source(np.uint32)

    def execute(threads: Threads, mask: Mask) -> None:
        _members(threads, mask, members, "vote")
        votes = threads.by_warp(threads.arrays[predicate]) != negated
        here = threads.by_warp(np.ones(1, bool) if mask is None else mask)
        if mode == "ballot":
            result = ((votes & here).astype(np.uint64) << _LANES.astype(np.uint64)).sum(1).astype(np.uint32)
        else:
            some, every = (votes & here).any(1), (votes | ~here).all(1)
            result = {"any": some, "all": every, "uni": every | ~some}[mode]
        write(threads.arrays[target], np.repeat(result, WARP), mask)

    return execute


@opcode("activemask")
def _active_mask(d: Decoder) -> Execute:
    d.format("b32")
    target = d.target(np.uint32)

    def execute(threads: Threads, mask: Mask) -> None:
        here = threads.by_warp(np.ones(1, bool) if mask is None else mask)
        lanes = (here.astype(np.uint64) << _LANES.astype(np.uint64)).sum(1).astype(np.uint32)
        write(threads.arrays[target], np.repeat(lanes, WARP), mask)

    return execute


@opcode("redux")
def _reduce(d: Decoder) -> Execute:
    kind = d.format("u32", "s32", "b32")
    d.take("sync")
    name = d.take("add", "min", "max", "and", "or", "xor")
    target, source, members = d.target(kind.dtype), d.source(kind.dtype), d.source(np.uint32)
    reduce = {
        "add": np.add,
        "min": np.minimum,
        "max": np.maximum,
        "and": np.bitwise_and,
        "or": np.bitwise_or,
        "xor": np.bitwise_xor,
    }[name].reduce

    def execute(threads: Threads, mask: Mask) -> None:
        _members(threads, mask, members, "redux")
        require_full_warps(threads, mask, "redux")
        values = reduce(threads.by_warp(threads.arrays[source]), axis=1, dtype=kind.dtype)
        write(threads.arrays[target], np.repeat(values, WARP), mask)

    return execute


@opcode("elect")
def _elect(d: Decoder) -> Execute:
    """The first active lane."""
    d.take("sync")
    names = [name.strip() for name in d.text().split("|")]
    if len(names) != 2:
        raise EmulationError("elect.sync has two results")
    lane, elected, members = d.target(np.uint32, names[0]), d.target(bool, names[1]), d.source(np.uint32)

    def execute(threads: Threads, mask: Mask) -> None:
        _members(threads, mask, members, "elect")
        here = threads.by_warp(np.ones(1, bool) if mask is None else mask)
        first = np.repeat(here.argmax(1), WARP)
        write(threads.arrays[lane], first.astype(np.uint32), mask)
        write(threads.arrays[elected], first == threads.lane, mask)

    return execute


@opcode("fence", "membar")
def _fence(d: Decoder) -> Execute:
    """Every store is seen by every later load here, through either proxy."""
    d.ignore("proxy", "async", "async::generic", "shared::cta", "global", "alias")
    d.ignore("acq_rel", "sc", "acquire", "release", "cta", "cluster", "gpu", "sys", "gl")
    return lambda threads, mask: None


@opcode("prefetch", "discard", "nanosleep", "griddepcontrol")
def _hint(d: Decoder) -> Execute:
    """Nothing that a result depends on."""
    d.ignore("global", "L1", "L2", "u32", "launch_dependents", "wait")
    while d.remaining:
        d.text()
    return lambda threads, mask: None


@opcode("trap")
def _trap(d: Decoder) -> Execute:
    def execute(threads: Threads, mask: Mask) -> None:
        raise Fault("trap", int(active_threads(threads, mask)[0]))

    return execute
