"""A convolution and its weight gradient as implicit matrix products, NHWC: samples like those of sample_kernels."""

import torch
import triton
import triton.language as tl
from torch import Tensor


@triton.jit
def _activated_patch(x_ptr, s_ptr, t_ptr, n, oh, ow, mask_m, tap_h, tap_w, offs_c, H, W, C: tl.constexpr):
    """leaky_relu(s * x + t) at one tap of a 4x4 kernel of stride 2 and padding 1; 0 outside the image."""
    h, w = 2 * oh - 1 + tap_h, 2 * ow - 1 + tap_w
    inside = mask_m & (h >= 0) & (h < H) & (w >= 0) & (w < W)
    offsets = ((n * H + h) * W + w).to(tl.int64) * C
    mask = inside[:, None] & (offs_c < C)[None, :]
    x = tl.load(x_ptr + offsets[:, None] + offs_c[None, :], mask=mask, other=0.0)
    s = tl.load(s_ptr + offs_c, mask=offs_c < C, other=0.0)
    t = tl.load(t_ptr + offs_c, mask=offs_c < C, other=0.0)
    v = x.to(tl.float32) * s[None, :] + t[None, :]
    return tl.where(mask, tl.where(v > 0, v, 0.2 * v), 0.0).to(x.dtype)


@triton.jit
def _conv2d_kernel(
    y_ptr,  # [N, H / 2, W / 2, K]
    x_ptr,  # [N, H, W, C]
    w_ptr,  # [4, 4, C, K]
    s_ptr,  # float32 [C]
    t_ptr,  # float32 [C]
    N,
    H,
    W,
    C: tl.constexpr,
    K: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    offs_m = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    offs_k = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
    OH, OW = H // 2, W // 2
    mask_m = offs_m < N * OH * OW
    n, oh, ow = offs_m // (OH * OW), offs_m // OW % OH, offs_m % OW
    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    BLOCKS: tl.constexpr = (C + BLOCK_K - 1) // BLOCK_K
    for step in range(16 * BLOCKS):
        tap, offs_c = step // BLOCKS, step % BLOCKS * BLOCK_K + tl.arange(0, BLOCK_K)
        z = _activated_patch(x_ptr, s_ptr, t_ptr, n, oh, ow, mask_m, tap // 4, tap % 4, offs_c, H, W, C)
        mask_w = (offs_c < C)[:, None] & (offs_k < K)[None, :]
        w = tl.load(w_ptr + (tap * C + offs_c)[:, None] * K + offs_k[None, :], mask=mask_w, other=0.0)
        acc = tl.dot(z, w, acc, input_precision=PRECISION)
    mask = mask_m[:, None] & (offs_k < K)[None, :]
    tl.store(y_ptr + offs_m[:, None] * K + offs_k[None, :], acc.to(y_ptr.dtype.element_ty), mask=mask)


@triton.jit
def _conv2d_weight_grad_kernel(
    dw_ptr,  # float32 [4, 4, C, K], zeros before
    dy_ptr,  # [N, H / 2, W / 2, K]
    x_ptr,  # [N, H, W, C]
    s_ptr,
    t_ptr,
    N,
    H,
    W,
    C: tl.constexpr,
    K: tl.constexpr,
    SPLITS: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_M: tl.constexpr,
):
    tap, split = tl.program_id(0), tl.program_id(1)
    offs_c, offs_k = tl.arange(0, BLOCK_C), tl.arange(0, BLOCK_N)
    OH, OW = H // 2, W // 2
    pixels = N * OH * OW
    acc = tl.zeros((BLOCK_C, BLOCK_N), tl.float32)
    for start in range(split * BLOCK_M, pixels, SPLITS * BLOCK_M):
        offs_m = start + tl.arange(0, BLOCK_M)
        mask_m = offs_m < pixels
        n, oh, ow = offs_m // (OH * OW), offs_m // OW % OH, offs_m % OW
        z = _activated_patch(x_ptr, s_ptr, t_ptr, n, oh, ow, mask_m, tap // 4, tap % 4, offs_c, H, W, C)
        mask_dy = mask_m[:, None] & (offs_k < K)[None, :]
        dy = tl.load(dy_ptr + offs_m[:, None] * K + offs_k[None, :], mask=mask_dy, other=0.0)
        acc = tl.dot(tl.trans(z), dy, acc, input_precision=PRECISION)
    mask = (offs_c < C)[:, None] & (offs_k < K)[None, :]
    tl.atomic_add(dw_ptr + (tap * C + offs_c)[:, None] * K + offs_k[None, :], acc, mask=mask, sem="relaxed")


def conv2d(x: Tensor, w: Tensor, s: Tensor, t: Tensor, precision: str = "ieee") -> Tensor:
    """x [N, H, W, C], w [4, 4, C, K] -> [N, H / 2, W / 2, K]."""
    (N, H, W, C), K = x.shape, w.shape[3]
    y = torch.empty(N, H // 2, W // 2, K, dtype=x.dtype)
    grid = triton.cdiv(y.numel() // K, 64), triton.cdiv(K, 64)
    blocks = {"BLOCK_M": 64, "BLOCK_N": 64, "BLOCK_K": 32}
    _conv2d_kernel[grid](y, x, w, s, t, N, H, W, C, K, precision, **blocks, num_warps=4, num_stages=3)
    return y


def conv2d_weight_grad(dy: Tensor, x: Tensor, s: Tensor, t: Tensor, precision: str = "ieee") -> Tensor:
    """dy [N, H / 2, W / 2, K], x [N, H, W, C] -> float32 [4, 4, C, K], C and K at most 64."""
    (N, H, W, C), K = x.shape, dy.shape[3]
    dw = torch.zeros(4, 4, C, K)
    blocks = {"BLOCK_C": 64, "BLOCK_N": 64, "BLOCK_M": 32}
    _conv2d_weight_grad_kernel[16, 2](dw, dy, x, s, t, N, H, W, C, K, 2, precision, **blocks, num_stages=3)
    return dw
