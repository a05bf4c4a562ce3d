"""Requests, sectors, bank conflicts and unique bytes of accesses whose answer is known."""

import pytest
import torch

from .ptx_snippets import run

FLOATS = 1024


def load(stride: int, size: int = 4) -> str:
    vector = {4: "b32 %r1", 8: "v2.b32 {%r1, %r2}", 16: "v4.b32 {%r1, %r2, %r3, %r4}"}[size]
    return f"mul.wide.u32 %l1, %x, {stride}; add.s64 %l1, %l1, %p0; ld.global.{vector}, [%l1];"


@pytest.mark.parametrize(
    ("stride", "size", "sectors", "unique"),
    [(4, 4, 4, 128), (8, 4, 8, 128), (32, 4, 32, 128), (0, 4, 1, 4), (16, 16, 16, 512), (8, 8, 8, 256)],
    ids=["contiguous", "every other", "a sector each", "one number", "16 bytes", "8 bytes"],
)
def test_sectors_of_a_request(stride, size, sectors, unique):
    counters = run(load(stride, size), torch.zeros(FLOATS))
    assert (counters.loads.requests, counters.loads.sectors, counters.loads.sectors_per_request) == (
        1,
        sectors,
        sectors,
    )
    assert (counters.loads.bytes_asked, counters.unique_bytes_loaded) == (32 * size, unique)
    assert counters.loads.widths == {size: 1}
    assert counters.stores.requests == counters.unique_bytes_stored == 0


def test_a_request_is_one_of_a_warp_with_someone_active():
    body = "setp.lt.u32 %q1, %x, 33; mul.wide.u32 %l1, %x, 4; add.s64 %l1, %l1, %p0; @%q1 st.global.b32 [%l1], %x;"
    counters = run(body, torch.zeros(FLOATS), threads=128, grid=(2,))
    assert (counters.stores.requests, counters.stores.sectors) == (4, 2 * (4 + 1))
    assert (counters.stores.bytes_asked, counters.unique_bytes_stored) == (2 * 33 * 4, 33 * 4)


@pytest.mark.parametrize(
    ("stride", "size", "factor"),
    [(4, 4, 1), (8, 4, 2), (128, 4, 32), (132, 4, 1), (0, 4, 1), (16, 16, 1), (32, 16, 2), (64, 8, 8)],
)
def test_bank_conflicts(stride, size, factor):
    vector = {4: "b32 %r1", 8: "v2.b32 {%r1, %r1}", 16: "v4.b32 {%r1, %r1, %r1, %r1}"}[size]
    store = vector.replace(" ", " [%r2], ", 1)
    body = (
        f"mov.b32 %r1, 0; mul.lo.s32 %r2, %x, {stride}; mov.u32 %r3, memory; add.s32 %r2, %r2, %r3; st.shared.{store};"
    )
    counters = run(body, torch.zeros(1), shared=8192)
    assert counters.shared["st"].phases == size // 4
    assert counters.shared["st"].conflict_factor == counters.conflict_factor == factor


def test_rows_of_ldmatrix_conflict_where_they_share_banks():
    def body(stride):
        return (
            f"mov.b32 %r1, 0; mul.lo.s32 %r2, %x, {stride}; mov.u32 %r3, memory; add.s32 %r2, %r2, %r3;"
            "st.shared.v4.b32 [%r2], {%r1, %r1, %r1, %r1};"
            "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r4, %r5, %r6, %r7}, [%r2];"
        )

    assert run(body(16), torch.zeros(1), shared=8192).shared["ldmatrix"].conflict_factor == 1
    assert run(body(128), torch.zeros(1), shared=8192).shared["ldmatrix"].conflict_factor == 8
    assert run(body(144), torch.zeros(1), shared=8192).shared["ldmatrix"].conflict_factor == 1


def test_copies_count_on_both_sides():
    body = (
        "mul.wide.u32 %l1, %x, 16; add.s64 %l1, %l1, %p0; shl.b32 %r1, %x, 5; mov.u32 %r2, memory;"
        "add.s32 %r1, %r1, %r2; setp.lt.u32 %q1, %x, 16; selp.b32 %r3, 16, 0, %q1;"
        "cp.async.cg.shared.global [%r1], [%l1], 16, %r3;"
    )
    counters = run(body, torch.zeros(FLOATS), shared=1024)
    assert (counters.copies.requests, counters.copies.sectors, counters.unique_bytes_loaded) == (1, 8, 256)
    assert (counters.shared["cp.async"].phases, counters.shared["cp.async"].cycles) == (4, 8)
    assert counters.load_sectors_per_request == 8 and counters.bytes_loaded == 256


def test_instructions_are_counted_by_warp():
    body = "setp.lt.u32 %q1, %x, 32; @%q1 bra end; add.s32 %r1, %x, 1; add.s32 %r1, %x, 1; end: mov.b32 %r2, 0;"
    counters = run(body, torch.zeros(1), threads=96)
    assert counters.instructions == {"ld.param": 3, "mov": 6, "setp": 3, "bra": 3, "add": 4, "ret": 3}
    assert counters.warp_instructions == 22 and counters.tensor_core_instructions == 0


def test_nothing_is_counted_on_request():
    assert run(load(4), torch.zeros(FLOATS), count=False) is None
