"""mma.sync, ldmatrix, stmatrix and wgmma against layouts written down lane by lane, and products in float64.

The tables of fragments are those of the PTX ISA, written here as loops: nothing is shared with the emulator.
"""

import numpy as np
import pytest
import torch

from .ptx import EmulationError, Order
from .ptx_snippets import run

FORMATS = {"f16": torch.float16, "bf16": torch.bfloat16, "tf32": torch.float32}


def integers(*shape: int, seed: int) -> torch.Tensor:
    """Small whole numbers: every product and sum is exact in every format."""
    return torch.randint(-4, 5, shape, generator=torch.Generator().manual_seed(seed)).double()


def lanes_of(matrix: torch.Tensor, dtype: torch.dtype, place) -> np.ndarray:
    """int32 [registers, 32]; place(register, lane, number) -> (row, column)."""
    per_register = 4 // dtype.itemsize
    registers = next(r for r in range(1, 9) if r * 32 * per_register == matrix.numel())
    out = torch.empty(registers, 32, per_register, dtype=dtype)
    for r in range(registers):
        for lane in range(32):
            for n in range(per_register):
                out[r, lane, n] = matrix[place(r, lane, n)]
    return out.view(torch.int32).reshape(registers, 32).numpy()


def load_registers(count: int, first: int, pointer: int) -> str:
    body = f"mul.wide.u32 %l1, %x, 4; add.s64 %l1, %l1, %p{pointer};"
    return body + "".join(f"ld.global.b32 %r{first + i}, [%l1+{128 * i}];" for i in range(count))


def names(first: int, count: int) -> str:
    return "{" + ", ".join(f"%r{first + i}" for i in range(count)) + "}"


@pytest.mark.parametrize(
    ("kind", "depth"), [("f16", 16), ("f16", 8), ("bf16", 16), ("bf16", 8), ("tf32", 8), ("tf32", 4)]
)
def test_mma(kind, depth):
    dtype = FORMATS[kind]
    p = 4 // dtype.itemsize
    a, b, c = integers(16, depth, seed=1), integers(depth, 8, seed=2), integers(16, 8, seed=3)
    a_lanes = lanes_of(a, dtype, lambda r, t, n: (t // 4 + 8 * (r % 2), p * (t % 4) + n + 4 * p * (r // 2)))
    b_lanes = lanes_of(b, dtype, lambda r, t, n: (p * (t % 4) + n + 4 * p * r, t // 4))
    c_lanes = lanes_of(c, torch.float32, lambda r, t, n: (t // 4 + 8 * (r // 2), 2 * (t % 4) + r % 2))
    d_lanes = lanes_of(a @ b + c, torch.float32, lambda r, t, n: (t // 4 + 8 * (r // 2), 2 * (t % 4) + r % 2))
    result = np.zeros((4, 32), np.int32)
    body = load_registers(len(a_lanes), 0, 0) + load_registers(len(b_lanes), 8, 1) + load_registers(4, 16, 2)
    body += f"mma.sync.aligned.m16n8k{depth}.row.col.f32.{kind}.{kind}.f32 {names(24, 4)}, "
    body += f"{names(0, len(a_lanes))}, {names(8, len(b_lanes))}, {names(16, 4)};"
    body += "mul.wide.u32 %l1, %x, 4; add.s64 %l1, %l1, %p3;"
    body += "".join(f"st.global.b32 [%l1+{128 * i}], %r{24 + i};" for i in range(4))
    counters = run(body, a_lanes, b_lanes, c_lanes, result)
    np.testing.assert_array_equal(result, d_lanes)
    assert counters.tensor_core_instructions == 1


def test_mma_ignores_the_low_bits_of_tf32():
    ones = np.full((4, 32), np.float32(1 + 2**-11).view(np.int32), np.int32)
    result = np.zeros((4, 32), np.float32)
    body = load_registers(4, 0, 0) + "mov.b32 %r8, 0;"
    body += "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%r4, %r5, %r6, %r7}, {%r0, %r1, %r2, %r3}, {%r0, %r1},"
    body += "{%r8, %r8, %r8, %r8}; mul.wide.u32 %l1, %x, 4; add.s64 %l1, %l1, %p1; st.global.b32 [%l1], %r4;"
    run(body, ones, result)
    assert (result[0] == 8.0).all()


def test_mma_needs_a_whole_warp():
    body = "setp.lt.u32 %q1, %x, 16; @%q1 mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
    with pytest.raises(EmulationError, match="mma is executed by a part of a warp"):
        run(body + f"{names(24, 4)}, {names(0, 4)}, {names(8, 2)}, {names(16, 4)};", torch.zeros(1))


@pytest.mark.parametrize("transposed", [False, True], ids=["plain", "trans"])
def test_ldmatrix_and_stmatrix(transposed):
    """Rows of 16 bytes go round through registers; in between every lane has its pair of neighbours."""
    matrices = np.arange(4 * 64, dtype=np.int16).reshape(4, 8, 8)
    pairs, back = np.zeros((4, 32), np.int32), np.zeros((4, 8, 8), np.int16)
    trans = ".trans" if transposed else ""
    body = f"""
        mov.u32 %r10, memory; shl.b32 %r11, %x, 4; add.s32 %r12, %r10, %r11; cvt.u64.u32 %l2, %r11;
        add.s64 %l3, %p0, %l2; ld.global.v4.b32 {names(0, 4)}, [%l3]; st.shared.v4.b32 [%r12], {names(0, 4)};
        ldmatrix.sync.aligned.m8n8.x4{trans}.shared.b16 {names(4, 4)}, [%r12];
        mul.wide.u32 %l1, %x, 4; add.s64 %l1, %l1, %p1;
        st.global.b32 [%l1], %r4; st.global.b32 [%l1+128], %r5;
        st.global.b32 [%l1+256], %r6; st.global.b32 [%l1+384], %r7;
        stmatrix.sync.aligned.m8n8.x4{trans}.shared.b16 [%r12+512], {names(4, 4)};
        ld.shared.v4.b32 {names(0, 4)}, [%r12+512]; add.s64 %l3, %p2, %l2; st.global.v4.b32 [%l3], {names(0, 4)};
    """
    run(body, matrices, pairs, back, shared=1024)
    np.testing.assert_array_equal(back, matrices)
    seen = pairs.view(np.int16).reshape(4, 32, 2)
    source = matrices.transpose(0, 2, 1) if transposed else matrices
    expected = [[[source[m, t // 4, 2 * (t % 4) + n] for n in range(2)] for t in range(32)] for m in range(4)]
    np.testing.assert_array_equal(seen, expected)


# What follows places numbers in shared memory by the rule of the swizzle of 128 bytes: chunk c of row r of eight rows
# of 128 bytes lies at chunk c ^ r.


def swizzled(rows: torch.Tensor) -> torch.Tensor:
    """[n, 128 / itemsize] with n a multiple of 8: as bytes, swizzled."""
    chunks = rows.contiguous().view(torch.uint8).view(-1, 8, 8, 16)  # groups, row, chunk, byte
    out = torch.empty_like(chunks)
    for r in range(8):
        for c in range(8):
            out[:, r, c ^ r] = chunks[:, r, c]
    return out.reshape(-1)


def wgmma_body(kind: str, left: str, transposed: str, steps: int, advance_a: int, advance_b: int, wait: str) -> str:
    """Copies 8192 bytes of each operand to shared memory and multiplies, `steps` of 32 bytes of depth."""
    depth = 8 if kind == "tf32" else 16
    registers = names(0, 32)
    copy = "".join(
        f"ld.global.v4.b32 {names(40, 4)}, [{source}+{2048 * i}];"
        f"st.shared.v4.b32 [%r50+{2048 * i + base}], {names(40, 4)};"
        for source, base in (("%l1", 0), ("%l2", 8192))
        for i in range(4)
    )
    products = "".join(
        f"wgmma.mma_async.sync.aligned.m64n64k{depth}.f32.{kind}.{kind} {registers}, "
        + (left if left else f"%l{4 + step}")
        + f", %l{8 + step}, %q1, 1, 1{transposed}; mov.pred %q1, -1;"
        for step in range(steps)
    )
    descriptors = "".join(
        f"add.s32 %r53, %r52, {step * advance_a}; shr.u32 %r54, %r53, 4; cvt.u64.u32 %l{4 + step}, %r54;"
        f"or.b64 %l{4 + step}, %l{4 + step}, {1 << 62 | 64 << 32 | 1 << 16};"
        f"add.s32 %r53, %r52, {8192 + step * advance_b}; shr.u32 %r54, %r53, 4; cvt.u64.u32 %l{8 + step}, %r54;"
        f"or.b64 %l{8 + step}, %l{8 + step}, {1 << 62 | 64 << 32 | 1 << 16};"
        for step in range(steps)
    )
    store = "mul.wide.u32 %l3, %x, 128; add.s64 %l3, %l3, %p2;"
    store += "".join(f"st.global.b32 [%l3+{4 * i}], %r{i};" for i in range(32))
    return f"""
        mul.wide.u32 %l1, %x, 16; add.s64 %l2, %l1, %p1; add.s64 %l1, %l1, %p0;
        mov.u32 %r52, memory; shl.b32 %r50, %x, 4; add.s32 %r50, %r50, %r52;
        {copy} bar.sync 0; fence.proxy.async.shared::cta; {descriptors} mov.pred %q1, 0;
        wgmma.fence.sync.aligned; {products} wgmma.commit_group.sync.aligned; {wait} {store}
    """


def product_of(result: torch.Tensor) -> torch.Tensor:
    """[64, 64] from what 128 threads with 32 accumulators each stored."""
    out = torch.empty(64, 64)
    for thread in range(128):
        warp, lane = divmod(thread, 32)
        for i in range(32):
            out[16 * warp + lane // 4 + 8 * (i // 2 % 2), 8 * (i // 4) + 2 * (lane % 4) + i % 2] = result[thread, i]
    return out


@pytest.mark.parametrize("order", [Order(), Order("descending")], ids=["together", "descending"])
@pytest.mark.parametrize("kind", ["f16", "bf16", "tf32"])
def test_wgmma_of_two_operands_in_shared_memory(kind, order):
    """Both with depth contiguous; a row of 128 bytes is `steps` of 32 bytes."""
    dtype = FORMATS[kind]
    depth = 128 // dtype.itemsize
    a, b = integers(64, depth, seed=1), integers(64, depth, seed=2)
    result = torch.zeros(128, 32)
    transposed = ", 0, 0" if dtype.itemsize == 2 else ""
    body = wgmma_body(kind, "", transposed, 4, 32, 32, "wgmma.wait_group.sync.aligned 0;")
    run(body, swizzled(a.to(dtype)), swizzled(b.to(dtype)), result, shared=16384, threads=128, order=order)
    assert torch.equal(product_of(result).double(), a @ b.T)


@pytest.mark.parametrize("order", [Order(), Order("ascending")], ids=["together", "ascending"])
def test_wgmma_of_transposed_operands(order):
    """Rows of 64 numbers along m and n; a step of 16 of depth is 16 rows, two groups of eight."""
    a, b = integers(64, 64, seed=1), integers(64, 64, seed=2)  # [depth, m], [depth, n]
    result = torch.zeros(128, 32)
    body = wgmma_body("f16", "", ", 1, 1", 4, 2048, 2048, "wgmma.wait_group.sync.aligned 0;")
    run(body, swizzled(a.half()), swizzled(b.half()), result, shared=16384, threads=128, order=order)
    assert torch.equal(product_of(result).double(), a.T @ b)


@pytest.mark.parametrize("wait", ["", "wgmma.wait_group.sync.aligned 1;"], ids=["no wait", "a lax wait"])
def test_wgmma_results_are_not_there_before_the_wait(wait):
    a = swizzled(torch.zeros(64, 64, dtype=torch.float16))
    body = wgmma_body("f16", "", ", 0, 0", 1, 0, 0, wait)
    with pytest.raises(EmulationError, match="%r0 is used while a wgmma still writes it"):
        run(body, a, a.clone(), torch.zeros(128, 32), shared=16384, threads=128)


def test_wgmma_of_a_block_that_is_behind_holds_nobody_up():
    """One block waits for its product while the other one's is on its way."""
    a = swizzled(torch.ones(64, 64, dtype=torch.float16))
    parting = "mov.u32 %r60, %ctaid.x; setp.eq.u32 %q2, %r60, 0; @%q2 bra READY; bar.sync 0; READY: "
    body = wgmma_body("f16", "", ", 0, 0", 1, 0, 0, f"{parting} wgmma.wait_group.sync.aligned 0;")
    result = torch.zeros(128, 32)
    run(body, a, a.clone(), result, shared=16384, threads=128, grid=(2,))
    assert (result == 16).all()


def test_wgmma_operands_may_not_change_before_the_wait():
    a = swizzled(torch.ones(64, 64, dtype=torch.float16))
    wait = "bar.sync 0; mov.b32 %r60, 0; st.shared.b32 [%r50], %r60; wgmma.wait_group.sync.aligned 0;"
    body = wgmma_body("f16", "", ", 0, 0", 1, 0, 0, wait)
    with pytest.raises(EmulationError, match="an operand of a wgmma changed before the wait for it"):
        run(body, a, a.clone(), torch.zeros(128, 32), shared=16384, threads=128)


def test_wgmma_with_the_first_operand_in_registers():
    a, b = integers(64, 16, seed=1), integers(64, 64, seed=2)

    def place(r, t, n):
        return t // 4 + 8 * (r % 2), 2 * (t % 4) + n + 8 * (r // 2)

    lanes = np.stack([lanes_of(a[16 * warp : 16 * warp + 16], torch.float16, place) for warp in range(4)])
    registers = np.ascontiguousarray(lanes.transpose(1, 0, 2).reshape(4, 128))  # [register, thread]
    result = torch.zeros(128, 32)
    body = wgmma_body("f16", "{%f0, %f1, %f2, %f3}", ", 0", 1, 0, 0, "wgmma.wait_group.sync.aligned 0;")
    load = "mul.wide.u32 %l3, %x, 4; add.s64 %l3, %l3, %p3;"
    load += "".join(f"ld.global.b32 %f{i}, [%l3+{512 * i}];" for i in range(4))
    filler = torch.zeros(8192, dtype=torch.uint8)
    run(load + body, filler, swizzled(b.half()), result, registers, shared=16384, threads=128)
    assert torch.equal(product_of(result).double(), a @ b[:, :16].T)
