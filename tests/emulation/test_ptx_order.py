"""Divergence, warp-wide instructions, atomics, and who runs first."""

import numpy as np
import pytest
import torch

from .ptx import EmulationError, Order
from .ptx_snippets import apply, run

ORDERS = [Order(warps, ctas) for warps in ("together", "ascending", "straggling") for ctas in ("forward", "reverse")]
ORDERS += [Order("shuffled", "shuffled", seed) for seed in (1, 2)]
in_every_order = pytest.mark.parametrize("order", ORDERS, ids=str)

# Each CTA stores its number + 1 with warp 1; thread 0 counts the CTA in and tells it of its turn; the last to arrive
# adds up what all stored.
LAST_ARRIVER = """
    mov.u32 %r1, %ctaid.x; mov.u32 %r2, %nctaid.x;
    mul.wide.u32 %l1, %r1, 4; add.s64 %l1, %l1, %p0;
    add.s32 %r3, %r1, 1;
    setp.eq.u32 %q1, %x, 32;
    @%q1 st.global.b32 [%l1], %r3;
    {barrier}
    setp.eq.u32 %q2, %x, 0;
    @%q2 atom.global.gpu.acq_rel.add.u32 %r4, [%p1], 1;
    @%q2 st.shared.b32 [memory], %r4;
    bar.sync 0;
    ld.shared.b32 %r5, [memory];
    add.s32 %r5, %r5, 1;
    setp.ne.u32 %q3, %r5, %r2;
    @%q3 bra end;
    mov.b32 %r6, 0; mov.b32 %r7, 0;
    loop:
    mul.wide.u32 %l2, %r6, 4; add.s64 %l2, %l2, %p0;
    ld.global.cg.b32 %r8, [%l2];
    add.s32 %r7, %r7, %r8; add.s32 %r6, %r6, 1;
    setp.lt.u32 %q4, %r6, %r2;
    @%q4 bra loop;
    st.global.b32 [%p1+4], %r7;
    end:
"""


def last_arriver(order: Order, barrier: str = "bar.sync 0;", wave_threads: int = 8192) -> int:
    partial, counter = torch.zeros(10, dtype=torch.int32), torch.zeros(2, dtype=torch.int32)
    body = LAST_ARRIVER.format(barrier=barrier)
    run(body, partial, counter, shared=4, threads=64, grid=(10,), order=order, wave_threads=wave_threads)
    return int(counter[1])


@in_every_order
@pytest.mark.parametrize("wave_threads", [64, 192, 8192])
def test_the_last_to_arrive_sees_what_all_stored(order, wave_threads):
    assert last_arriver(order, wave_threads=wave_threads) == 55


def test_a_straggling_warp_shows_a_missing_barrier_before_the_counter():
    """The barrier behind the counter hides it from orders in which all CTAs go from barrier to barrier."""
    assert last_arriver(Order("together"), barrier="") == last_arriver(Order("ascending"), barrier="") == 55
    assert last_arriver(Order("straggling"), barrier="") != 55


@in_every_order
def test_atomics_add_up_whatever_the_order(order):
    total = torch.zeros(4, dtype=torch.int32)
    body = "and.b32 %r1, %x, 3; mul.wide.u32 %l1, %r1, 4; add.s64 %l1, %l1, %p0; red.global.add.u32 [%l1], %x;"
    run(body, total, threads=64, grid=(3, 2), order=order)
    assert total.tolist() == [6 * sum(range(i, 64, 4)) for i in range(4)]


def test_ctas_take_turns_in_the_order_asked_for():
    body = (
        "setp.ne.u32 %q1, %x, 0; @%q1 bra end; atom.global.add.u32 %r1, [%p0], 1; mov.u32 %r2, %ctaid.x;"
        "mul.wide.u32 %l1, %r2, 4; add.s64 %l1, %l1, %p1; st.global.b32 [%l1], %r1; end:"
    )
    turns = {}
    for ctas in ("forward", "reverse", "shuffled"):
        turn = torch.zeros(8, dtype=torch.int32)
        run(body, torch.zeros(1, dtype=torch.int32), turn, grid=(8,), order=Order(ctas=ctas), wave_threads=96)
        turns[ctas] = turn.tolist()
    assert turns["forward"] == list(range(8)) and turns["reverse"] == list(range(8))[::-1]
    assert sorted(turns["shuffled"]) == list(range(8)) and turns["shuffled"] not in (turns["forward"], turns["reverse"])


@pytest.mark.parametrize(
    ("instruction", "begin", "final", "found"),
    [
        ("atom.global.exch.b32 %d, [%p9], %a;", 9, 3, [9, 0, 1, 2]),
        ("atom.global.relaxed.sys.max.s32 %d, [%p9], %a;", 1, 3, [1, 1, 1, 2]),
        ("atom.global.inc.u32 %d, [%p9], 2;", 0, 1, [0, 1, 2, 0]),
        ("atom.global.dec.u32 %d, [%p9], 2;", 0, 2, [0, 2, 1, 0]),
        ("atom.global.acquire.cta.cas.b32 %d, [%p9], 2, 7;", 2, 7, [2, 7, 7, 7]),
        ("atom.global.and.b32 %d, [%p9], %a;", 7, 0, [7, 0, 0, 0]),
    ],
)
def test_threads_take_turns_at_an_atomic(instruction, begin, final, found):
    target, a, d = torch.tensor([begin], dtype=torch.int32), torch.arange(4, dtype=torch.int32), torch.zeros(4)
    body = (
        ".reg .b32 %a; .reg .b32 %d; setp.ge.u32 %q1, %x, 4; @%q1 bra end;"
        "mul.wide.u32 %l1, %x, 4; add.s64 %l2, %l1, %p1; add.s64 %l3, %l1, %p2; ld.global.b32 %a, [%l2];"
    )
    run(body + instruction.replace("%p9", "%p0") + "st.global.b32 [%l3], %d; end:", target, a, d)
    assert (target.item(), d.view(torch.int32).tolist()) == (final, found)


@pytest.mark.parametrize(
    ("kind", "dtype", "count"),
    [("f32", torch.float32, 1), ("noftz.f16x2", torch.float16, 2), ("noftz.bf16x2", torch.bfloat16, 2)],
)
def test_atomic_sums_round_each_time(kind, dtype, count):
    total = torch.zeros(count, dtype=dtype)
    values = torch.randn(32 * count, generator=torch.Generator().manual_seed(0)).to(dtype)
    body = "mul.wide.u32 %l1, %x, 4; add.s64 %l1, %l1, %p1; ld.global.b32 %r1, [%l1];"
    run(body + f"red.global.gpu.relaxed.add.{kind} [%p0], %r1;", total, values)
    expected = torch.zeros(count, dtype=dtype)
    for row in values.view(32, count):
        expected = expected + row
    assert torch.equal(total, expected)


SHARED_SUM = """
    mov.u32 %r1, memory; mov.b32 %r2, 0; setp.eq.u32 %q1, %x, 0;
    @%q1 st.shared.b32 [%r1], %r2;
    {first}
    atom.shared.add.u32 %r3, [%r1], %x;
    {second}
    ld.shared.b32 %r4, [%r1];
    @%q1 st.global.b32 [%p0], %r4;
"""


@pytest.mark.parametrize("warps", ["together", "descending"])
def test_atomics_on_shared_memory(warps):
    """Warps may meet at an atomic, but plain accesses before and after need their barriers."""
    total, order = torch.zeros(1, dtype=torch.int32), Order(warps)
    both = {"first": "bar.sync 0;", "second": "bar.sync 0;"}
    run(SHARED_SUM.format(**both), total, shared=4, threads=64, order=order)
    assert total.item() == sum(range(64))
    for missing, message in (("first", "shared atomic|never written"), ("second", "shared load at byte 0 written by")):
        with pytest.raises(EmulationError, match=message):
            run(SHARED_SUM.format(**{**both, missing: ""}), total, shared=4, threads=64, order=order)


def test_loops_of_different_lengths_meet_again():
    lengths = np.arange(32, dtype=np.uint32) % 7
    body = """
        mov.b32 %r1, 0; mov.b32 %r2, 0;
        loop: setp.ge.u32 %q1, %r1, %a; @%q1 bra done;
        add.s32 %r1, %r1, 1; mad.lo.s32 %r2, %r1, %r1, %r2; bra.uni loop;
        done: shfl.sync.idx.b32 %r3, %r2, 6, 31, -1; add.s32 %d, %r2, %r3;
    """
    expected = [sum(i * i for i in range(1, n + 1)) + 91 for n in lengths.tolist()]
    assert apply(body, lengths, result=np.uint32).tolist() == expected


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("bfly.b32 %d, %a, 3, 31", lambda lane: lane ^ 3),
        ("up.b32 %d, %a, 2, 0", lambda lane: lane - 2 if lane >= 2 else lane),
        ("down.b32 %d, %a, 2, 31", lambda lane: lane + 2 if lane + 2 < 32 else lane),
        ("idx.b32 %d, %a, 5, 31", lambda lane: 5),
        ("idx.b32 %d, %a, 1, 0x1807", lambda lane: lane // 8 * 8 + 1),
    ],
)
def test_shuffles(mode, expected):
    lanes = np.arange(32, dtype=np.uint32)
    actual = apply(f"shfl.sync.{mode}, 0xffffffff;", lanes, result=np.uint32)
    assert actual.tolist() == [expected(lane) for lane in range(32)]


def test_votes_and_reductions_over_a_warp():
    lanes = np.arange(32, dtype=np.uint32)
    odd = "and.b32 %r1, %a, 1; setp.eq.u32 %q1, %r1, 1;"
    assert set(apply(odd + "vote.sync.ballot.b32 %d, %q1, -1;", lanes, result=np.uint32)) == {0xAAAAAAAA}
    assert set(apply(odd + "vote.sync.any.pred %q2, %q1, -1; selp.b32 %d, 1, 0, %q2;", lanes, result=np.uint32)) == {1}
    assert set(apply(odd + "vote.sync.all.pred %q2, !%q1, -1; selp.b32 %d, 1, 0, %q2;", lanes, result=np.uint32)) == {0}
    assert set(apply("redux.sync.add.s32 %d, %a, -1;", lanes, result=np.uint32)) == {496}
    assert set(apply("redux.sync.max.u32 %d, %a, -1;", lanes, result=np.uint32)) == {31}
    half = "setp.lt.u32 %q1, %x, 16; mov.b32 %d, 0; @%q1 activemask.b32 %d;"
    assert apply(half, lanes, result=np.uint32).tolist() == [0xFFFF] * 16 + [0] * 16


def test_who_a_thread_is():
    body = """
        mov.u32 %r1, %ctaid.y; mov.u32 %r2, %nctaid.x; mov.u32 %r3, %ctaid.x; mad.lo.s32 %r4, %r1, %r2, %r3;
        mov.u32 %r5, %ntid.x; mad.lo.s32 %r6, %r4, %r5, %x; mov.u32 %r7, %laneid; mul.wide.u32 %l1, %r6, 4;
        add.s64 %l1, %l1, %p0; mad.lo.s32 %r8, %r6, 100, %r7; st.global.b32 [%l1], %r8;
    """
    result = torch.zeros(6 * 64, dtype=torch.int32)
    run(body, result, threads=64, grid=(3, 2), wave_threads=128)
    assert result.tolist() == [100 * i + i % 32 for i in range(6 * 64)]


def test_a_barrier_waits_for_every_warp_that_runs():
    body = "setp.lt.u32 %q1, %x, 32; @%q1 ret; bar.sync 0; mul.wide.u32 %l1, %x, 4; add.s64 %l1, %l1, %p0;"
    result = torch.zeros(96, dtype=torch.int32)
    run(body + "st.global.b32 [%l1], %x;", result, threads=96, order=Order("ascending"))
    assert result.tolist() == [0] * 32 + list(range(32, 96))


def test_a_lane_that_is_not_there_cannot_be_read():
    body = "setp.lt.u32 %q1, %x, 16; @%q1 shfl.sync.idx.b32 %r1, %x, 20, 31, 0xffff;"
    with pytest.raises(EmulationError, match="shfl reads a lane that does not execute it by thread 0"):
        run(body, torch.zeros(1))


def test_lanes_that_come_to_a_barrier_on_other_ways_wait_for_each_other():
    """The code behind the barrier may stand before what some lanes still have to run."""
    result = torch.zeros(64, dtype=torch.int32)
    body = """
        mul.wide.u32 %l1, %x, 4; add.s64 %l1, %l1, %p0;
        shl.b32 %r1, %x, 2; mov.u32 %r2, memory; add.s32 %r1, %r1, %r2;
        and.b32 %r3, %x, 1; setp.eq.u32 %q1, %r3, 1;
        @%q1 bra far;
        st.shared.b32 [%r1], %x;
        join: bar.sync 0;
        xor.b32 %r4, %x, 63; shl.b32 %r4, %r4, 2; add.s32 %r4, %r4, %r2;
        ld.shared.b32 %r5, [%r4]; st.global.b32 [%l1], %r5;
        bra end;
        far: st.shared.b32 [%r1], 7;
        bra join;
        end:
    """
    run(body, result, shared=256, threads=64)
    assert result.tolist() == [7 if lane % 2 else lane for lane in reversed(range(64))]
