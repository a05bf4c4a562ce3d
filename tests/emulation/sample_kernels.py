"""Small Triton kernels and launchers that stand for what the project's kernels are made of.

Written as the project's kernels are, so that what Triton makes of such code is known to run in the emulator.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor


@triton.jit
def _scale(x, factor):
    return x * factor


@triton.jit
def _add_kernel(y_ptr, a_ptr, b_ptr, count, factor, BLOCK: tl.constexpr):
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offs < count
    total = tl.load(a_ptr + offs, mask=mask) + _scale(tl.load(b_ptr + offs, mask=mask), factor)
    tl.store(y_ptr + offs, total, mask=mask)


def add(a: Tensor, b: Tensor, factor: float = 1.0) -> Tensor:
    y = torch.empty_like(a)
    with torch.cuda.device_of(a):
        _add_kernel[lambda meta: (triton.cdiv(a.numel(), meta["BLOCK"]),)](y, a, b, a.numel(), factor, BLOCK=256)
    return y


@triton.jit
def _matmul_kernel(
    y_ptr,  # [M, N]
    a_ptr,  # [M, K], any strides
    b_ptr,  # [K, N], any strides
    M,
    N,
    K,
    stride_am,
    stride_ak,
    stride_bk,
    stride_bn,
    PRECISION: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    offs_m = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    offs_n = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
    offs_k = tl.arange(0, BLOCK_K)
    mask_m, mask_n = offs_m < M, offs_n < N
    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for k in range(0, K, BLOCK_K):
        mask_k = k + offs_k < K
        a_ptrs = a_ptr + offs_m[:, None] * stride_am + (k + offs_k)[None, :] * stride_ak
        b_ptrs = b_ptr + (k + offs_k)[:, None] * stride_bk + offs_n[None, :] * stride_bn
        a = tl.load(a_ptrs, mask=mask_m[:, None] & mask_k[None, :], other=0.0)
        b = tl.load(b_ptrs, mask=mask_k[:, None] & mask_n[None, :], other=0.0)
        acc = tl.dot(a, b, acc, input_precision=PRECISION)
    y = acc.to(y_ptr.dtype.element_ty)
    tl.store(y_ptr + offs_m[:, None] * N + offs_n[None, :], y, mask=mask_m[:, None] & mask_n[None, :])


def matmul(a: Tensor, b: Tensor, precision: str = "ieee", tile: tuple = (64, 64, 32), warps: int = 4, stages: int = 3):
    """a @ b in the dtype of a; tile: BLOCK_M, BLOCK_N, BLOCK_K."""
    (M, K), N = a.shape, b.shape[1]
    y = torch.empty(M, N, dtype=a.dtype)
    BLOCK_M, BLOCK_N, BLOCK_K = tile
    _matmul_kernel[(triton.cdiv(M, BLOCK_M), triton.cdiv(N, BLOCK_N))](
        y,
        a,
        b,
        M,
        N,
        K,
        *a.stride(),
        *b.stride(),
        PRECISION=precision,
        BLOCK_M=BLOCK_M,
        BLOCK_N=BLOCK_N,
        BLOCK_K=BLOCK_K,
        num_warps=warps,
        num_stages=stages,
    )
    return y


@triton.jit
def _affine_act_matmul_kernel(
    y_ptr,  # [M, N]
    mean_ptr,  # float32 [N]
    partial_ptr,  # float32 [tiles, N]
    counter_ptr,  # int32 [tiles of N], zeros before and after
    x_ptr,  # [M, K]
    w_ptr,  # [K, N]
    s_ptr,  # float32 [K]
    t_ptr,  # float32 [K]
    M,
    N,
    K,
    negative_slope,
    PRECISION: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    pid_m, pid_n = tl.program_id(0), tl.program_id(1)
    offs_m = pid_m * BLOCK_M + tl.arange(0, BLOCK_M)
    offs_n = pid_n * BLOCK_N + tl.arange(0, BLOCK_N)
    mask_n = offs_n < N
    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for k in range(0, K, BLOCK_K):
        offs_k = k + tl.arange(0, BLOCK_K)
        mask_k = offs_k < K
        mask_x = (offs_m < M)[:, None] & mask_k[None, :]
        x = tl.load(x_ptr + offs_m[:, None] * K + offs_k[None, :], mask=mask_x, other=0.0)
        s = tl.load(s_ptr + offs_k, mask=mask_k, other=0.0)
        t = tl.load(t_ptr + offs_k, mask=mask_k, other=0.0)
        v = x.to(tl.float32) * s[None, :] + t[None, :]
        z = tl.where(mask_x, tl.where(v > 0, v, v * negative_slope), 0.0).to(x.dtype)
        w = tl.load(w_ptr + offs_k[:, None] * N + offs_n[None, :], mask=mask_k[:, None] & mask_n[None, :], other=0.0)
        acc = tl.dot(z, w, acc, input_precision=PRECISION)
    y = acc.to(y_ptr.dtype.element_ty)
    mask_y = (offs_m < M)[:, None] & mask_n[None, :]
    tl.store(y_ptr + offs_m[:, None] * N + offs_n[None, :], y, mask=mask_y)

    # Sums of the stored values; the last tile to arrive at a column adds up those of all.
    tl.store(partial_ptr + pid_m * N + offs_n, tl.sum(tl.where(mask_y, y.to(tl.float32), 0.0), 0), mask=mask_n)
    tiles = tl.num_programs(0)
    arrived = tl.atomic_add(counter_ptr + pid_n, 1, sem="acq_rel")
    if arrived == tiles - 1:
        total = tl.zeros((BLOCK_N,), tl.float64)
        for tile in range(tiles):
            part = tl.load(partial_ptr + tile * N + offs_n, mask=mask_n, other=0.0, cache_modifier=".cg")
            total += part.to(tl.float64)
        tl.store(mean_ptr + offs_n, (total / M).to(tl.float32), mask=mask_n)
        tl.store(counter_ptr + pid_n, 0)


def affine_act_matmul(x: Tensor, w: Tensor, s: Tensor, t: Tensor, negative_slope: float, precision: str = "ieee"):
    """y = leaky_relu(s * x + t) @ w and the mean of its rows."""
    (M, K), N = x.shape, w.shape[1]
    grid = triton.cdiv(M, 64), triton.cdiv(N, 64)
    y, mean = torch.empty(M, N, dtype=x.dtype), torch.empty(N)
    partial, counter = torch.empty(grid[0], N), torch.zeros(grid[1], dtype=torch.int32)
    _affine_act_matmul_kernel[grid](
        y,
        mean,
        partial,
        counter,
        x,
        w,
        s,
        t,
        M,
        N,
        K,
        negative_slope,
        PRECISION=precision,
        BLOCK_M=64,
        BLOCK_N=64,
        BLOCK_K=32,
        num_warps=4,
        num_stages=3,
    )
    return y, mean


@triton.jit
def _merge_moments(mean_a, m2_a, count_a, mean_b, m2_b, count_b):
    count = count_a + count_b
    share = tl.where(count > 0, count_b / count, 0.0)
    delta = mean_b - mean_a
    return mean_a + delta * share, m2_a + m2_b + delta * delta * count_a * share, count


@triton.jit
def _moments_kernel(mean_ptr, var_ptr, x_ptr, rows, BLOCK: tl.constexpr, COLUMNS: tl.constexpr):
    offs_r, offs_c = tl.arange(0, BLOCK), tl.arange(0, COLUMNS)
    mask = (offs_r < rows)[:, None]
    x = tl.load(x_ptr + offs_r[:, None] * COLUMNS + offs_c[None, :], mask=mask, other=0.0).to(tl.float32)
    count = tl.where(mask, tl.full((BLOCK, COLUMNS), 1.0, tl.float32), 0.0)
    mean, m2, count = tl.reduce((x, tl.zeros_like(x), count), 0, _merge_moments)
    tl.store(mean_ptr + offs_c, mean)
    tl.store(var_ptr + offs_c, m2 / count)


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each column of x, [at most 128, 64]."""
    mean, var = torch.empty(64), torch.empty(64)
    _moments_kernel[(1,)](mean, var, x, len(x), BLOCK=128, COLUMNS=64)
    return mean, var


@triton.jit
def _column_sum_kernel(sum_ptr, x_ptr, rows, BLOCK: tl.constexpr, COLUMNS: tl.constexpr, ONE_ATOMIC: tl.constexpr):
    offs_r = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    offs_c = tl.arange(0, COLUMNS)
    mask = (offs_r < rows)[:, None]
    x = tl.load(x_ptr + offs_r[:, None] * COLUMNS + offs_c[None, :], mask=mask, other=0.0)
    if ONE_ATOMIC:
        tl.atomic_add(sum_ptr + offs_c, tl.sum(x, 0), sem="relaxed")
    else:
        columns = tl.zeros((BLOCK, COLUMNS), tl.int32) + offs_c[None, :]
        tl.atomic_add(sum_ptr + columns, x, mask=mask, sem="relaxed")


def column_sum(x: Tensor, one_atomic: bool = True) -> Tensor:
    total = torch.zeros(64)
    _column_sum_kernel[(triton.cdiv(len(x), 64),)](total, x, len(x), BLOCK=64, COLUMNS=64, ONE_ATOMIC=one_atomic)
    return total


@triton.jit(do_not_specialize=["count"])
def _describe_kernel(y_ptr, x_ptr, count, stride, scale, optional_ptr, FLAG: tl.constexpr, BLOCK: tl.constexpr = 32):
    offs = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + offs * stride, mask=offs < count, other=0.0)
    if optional_ptr is not None:
        x += tl.load(optional_ptr + offs)
    if FLAG:
        x = x * scale
    tl.store(y_ptr + offs, x)
