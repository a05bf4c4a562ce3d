"""What is undefined or unknown is reported, with the instruction and the thread."""

import numpy as np
import pytest
import torch

from .ptx import EmulationError, Order, WrittenBytes, launch
from .ptx_snippets import kernel, run

ADDRESS = "mul.wide.u32 %l1, %x, 4; add.s64 %l1, %l1, %p0;"
SHARED = "shl.b32 %r1, %x, 2; mov.u32 %r2, memory; add.s32 %r1, %r1, %r2;"
# Lane l of warp w reads what lane l of the other warp wrote.
EXCHANGE = (
    SHARED
    + "st.shared.b32 [%r1], %x; {barrier} xor.b32 %r3, %x, 32; shl.b32 %r3, %r3, 2;"
    + ("add.s32 %r3, %r3, %r2; ld.shared.b32 %r4, [%r3];" + ADDRESS + "st.global.b32 [%l1], %r4;")
)
COPY = SHARED + ADDRESS + "cp.async.ca.shared.global [%r1], [%l1], 4; cp.async.commit_group;"


@pytest.mark.parametrize(
    ("instruction", "message"),
    [
        ("frobnicate.b32 %r1, %r2;", "unknown opcode frobnicate"),
        ("add.s32.fancy %r1, %r2, %r3;", "type .fancy is not one of"),
        ("add.magic.s32 %r1, %r2, %r3;", "unknown modifier .magic"),
        ("add.u8 %r1, %r2, %r3;", "type .u8 is not one of"),
        ("add.s32 %r1, %r2, %r3, %r4;", "unknown operand %r4"),
        ("add.s32 %r1, %r2;", "an operand is missing"),
        ("add.s64 %l1, %r1, %l2;", "register %r1 holds uint32, expected 64 bits"),
        ("mov.b32 %r1, %clock;", "%clock is not a register"),
        ("mov.b32 %r1, nothing;", "unknown operand nothing"),
        ("ld.local.b32 %r1, [%l1];", "expected one of .global, .shared"),
        ("ld.global.mystery.b32 %r1, [%l1];", "unknown modifier .mystery"),
        ("bar.sync 1, 64;", "only barrier 0"),
        ("bra elsewhere;", "unknown label elsewhere"),
        ("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%r1}, {%r2}, {%r3}, {%r4};", "m16n8k"),
        ("cvt.rn.e4m3x2.f32 %h1, %f1, %f2;", "type .e4m3x2 is not one of"),
        ("cp.async.bulk.shared.global [%r1], [%l1], 16, [%r2];", "expected one of .commit_group"),
        ("mbarrier.init.shared.b64 [%r1], 1;", "unknown opcode mbarrier"),
    ],
)
def test_unknown_instructions_are_refused(instruction, message):
    with pytest.raises(EmulationError, match="PTX line 1[0-9]") as error:
        run(instruction, torch.zeros(1))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            ADDRESS + "ld.global.b32 %r1, [%l1+4];",
            "global load out of bounds.*byte 128.*0 bytes past its end.*thread 31",
        ),
        (ADDRESS + "st.global.b32 [%l1+-4], %r1;", "global store out of bounds.*4 bytes before argument 0.*thread 0"),
        (ADDRESS + "st.global.v2.b32 [%l1], {%r1, %r2};", "misaligned global store of 8 bytes.*thread 1"),
        ("mov.b64 %l2, 0; ld.global.b32 %r1, [%l2];", "out of bounds.*address 0x0"),
        ("cvt.u32.u64 %r1, %p0; cvt.u64.u32 %l2, %r1; ld.global.b32 %r2, [%l2];", "global load out of bounds"),
        (SHARED + "ld.shared.b32 %r4, [%r1];", "load of shared memory never written, at byte 0 by thread 0"),
        (SHARED + "st.shared.b32 [%r1+4], %x;", "shared store out of bounds.*byte 128 of 128.*thread 31"),
        ("mov.b32 %r1, 0; st.shared.b32 [%r1], %x;", "shared store out of bounds"),
        (SHARED + "st.shared.b32 [%r1+2], %x;", "misaligned shared store"),
        ("mov.u32 %r1, memory; st.shared.b32 [%r1], %x;", "two threads store different values"),
        (COPY + "ld.shared.b32 %r4, [%r1];", "that a cp.async still writes: a wait is missing.*thread 0"),
        (COPY + "cp.async.wait_group 1; ld.shared.b32 %r4, [%r1];", "a wait is missing"),
        (COPY + COPY, "that a cp.async still writes"),
        ("trap;", "trap by thread 0"),
        ("setp.lt.u32 %q1, %x, 16; @%q1 bra end; shfl.sync.bfly.b32 %r1, %x, 1, 31, -1; end:", "member mask"),
        ("setp.lt.u32 %q1, %x, 16; @%q1 bra end; bar.sync 0; end:", "barrier in a part of a warp"),
    ],
)
def test_what_goes_wrong_is_reported_where_it_does(body, message):
    with pytest.raises(EmulationError, match=message) as error:
        run(body, torch.zeros(32, dtype=torch.int32), shared=128)
    assert "CTA (0, 0, 0)" in str(error.value) and "PTX line" in str(error.value)


@pytest.mark.parametrize(
    "wait",
    [
        "cp.async.commit_group; cp.async.wait_group 0;",
        "cp.async.wait_all;",
        "cp.async.commit_group; cp.async.wait_all;",
    ],
)
def test_a_copy_is_there_after_its_wait(wait):
    source = torch.arange(32, dtype=torch.int32)
    body = COPY.replace("cp.async.commit_group;", wait)
    run(body + "ld.shared.b32 %r4, [%r1]; add.s32 %r4, %r4, 1; st.global.b32 [%l1], %r4;", source, shared=128)
    assert source.tolist() == list(range(1, 33))


@pytest.mark.parametrize("warps", ["together", "ascending", "descending", "shuffled", "straggling"])
def test_a_missing_barrier_is_reported_in_every_order(warps):
    result = torch.zeros(64, dtype=torch.int32)
    order = Order(warps)
    run(EXCHANGE.format(barrier="bar.sync 0;"), result, shared=256, threads=64, order=order)
    assert result.tolist() == [*range(32, 64), *range(32)]
    with pytest.raises(EmulationError, match="a barrier is missing|never written"):
        run(EXCHANGE.format(barrier=""), result, shared=256, threads=64, order=order)


def test_writing_what_another_warp_still_reads():
    body = EXCHANGE.format(barrier="bar.sync 0;") + "{barrier} st.shared.b32 [%r1], %r4;"
    result = torch.zeros(64, dtype=torch.int32)
    run(body.replace("{barrier}", "bar.sync 0;"), result, shared=256, threads=64)
    with pytest.raises(EmulationError, match="read by warp [01] since the last barrier"):
        run(body.replace("{barrier}", ""), result, shared=256, threads=64)


def test_a_store_that_changes_nothing_is_no_hazard():
    store = "st.shared.b32 [%r3], %r5;"
    body = SHARED + f"mov.u32 %r3, memory; mov.b32 %r5, 7; {store} bar.sync 0; {store} ld.shared.b32 %r4, [%r3];"
    run(body, torch.zeros(1), shared=256, threads=64)
    with pytest.raises(EmulationError, match="a barrier is missing"):
        run(
            body.replace(f"bar.sync 0; {store}", f"bar.sync 0; mov.b32 %r5, 8; {store}"),
            torch.zeros(1),
            shared=256,
            threads=64,
        )


def test_views_are_bounded_by_their_elements():
    storage = torch.arange(64, dtype=torch.int32)
    run(ADDRESS + "ld.global.b32 %r1, [%l1]; st.global.b32 [%l1], %x;", storage[16:48])
    assert storage.tolist() == [*range(16), *range(32), *range(48, 64)]
    for view in (storage[16:47], storage[::2]):
        with pytest.raises(EmulationError, match="out of bounds"):
            run(ADDRESS + "ld.global.b32 %r1, [%l1];", view)


def test_views_of_one_storage_share_memory():
    storage = torch.arange(64, dtype=torch.int32)
    body = ADDRESS + "ld.global.b32 %r1, [%l1]; sub.s64 %l2, %p1, %p0; add.s64 %l1, %l1, %l2; st.global.b32 [%l1], %r1;"
    run(body, storage[:32], storage[32:])
    assert storage[32:].tolist() == list(range(32))


def test_memory_that_nobody_wrote():
    written, buffer = WrittenBytes(), torch.full((32,), 5, dtype=torch.int32)
    written.add_uninitialised(buffer)
    with pytest.raises(EmulationError, match="load of global memory never written, at byte 0"):
        run(ADDRESS + "ld.global.b32 %r1, [%l1];", buffer, written=written)
    half = ADDRESS + "setp.lt.u32 %q1, %x, 16; @%q1 st.global.b32 [%l1], %x;"
    run(half, buffer, written=written)
    with pytest.raises(EmulationError, match="never written, at byte 64"):
        run(ADDRESS + "ld.global.b32 %r1, [%l1];", buffer, written=written)
    written.set_written(buffer[16:])
    run(ADDRESS + "ld.global.b32 %r1, [%l1];", buffer, written=written)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([torch.zeros(1), torch.zeros(1)], "k has 1 parameters, got 2"),
        ([3.5], "is a .u64, got 3.5"),
        ([2**64], "does not fit"),
    ],
)
def test_arguments_that_do_not_fit(arguments, message):
    with pytest.raises(EmulationError, match=message):
        launch(kernel(""), (1,), 32, arguments)


@pytest.mark.parametrize("threads", [33, 0, 64])
def test_a_wrong_number_of_threads(threads):
    with pytest.raises(EmulationError, match="threads"):
        launch(kernel(""), (1,), threads, [torch.zeros(1)])


def test_scalars_become_what_the_parameter_says():
    text = kernel("", 1).replace(
        ".param .u64 .ptr .global .align 16 k_param_0",
        ".param .u64 .ptr .global .align 16 k_param_0, .param .u32 n, .param .u64 m, .param .f32 f, .param .f64 g",
    )
    body = (
        "ld.param.b32 %r1, [n]; ld.param.b64 %l1, [m]; ld.param.b32 %f1, [f]; ld.param.b64 %l2, [g];"
        "st.global.b32 [%p0], %r1; st.global.b64 [%p0+8], %l1; "
        "st.global.b32 [%p0+16], %f1; st.global.b64 [%p0+24], %l2;"
    )
    text = text.replace("ret;", f"setp.ne.u32 %q1, %x, 0; @%q1 ret; {body} ret;")
    buffer = np.zeros(32, np.uint8)
    launch(text, (1,), 32, [buffer, -3, -(2**40), 0.1, 0.1])
    assert buffer[:4].view(np.int32)[0] == -3 and buffer[8:16].view(np.int64)[0] == -(2**40)
    assert buffer[16:20].view(np.float32)[0] == np.float32(0.1) and buffer[24:].view(np.float64)[0] == 0.1
