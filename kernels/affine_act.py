"""affine_act in Triton, its pixels and its gradients: one pass over dense feature maps in NHWC memory."""

import torch
import triton
import triton.language as tl
from fastgan.kernels import geometry
from fastgan.kernels.activation import activate, activate_backward, to_pixel
from fastgan.kernels.operands import affine, load_map, load_rows
from fastgan.kernels.sum_buffers import SumBuffers
from fastgan.kernels.sums import finish_sums, finish_sums_by_sample
from fastgan.kernels.taps import tile_rows
from torch import Tensor

_ELEMENTS, _MOST_ROWS, _MOST_COLUMNS, _WARPS = 2048, 256, 64, 4  # of a tile


@triton.jit(do_not_specialize=["samples", "pixels", "scale_apart", "shift_apart"])
def _affine_act_kernel(
    z_ptr,  # [N, pixels, C], in the dtype of x or uint8
    x_ptr,  # [N, pixels, C]
    scale_ptr,  # float32 [1 or N, C] or None
    shift_ptr,  # float32 [1 or N, C] or None
    samples,
    pixels,
    scale_apart,
    shift_apart,
    negative_slope,
    C: tl.constexpr,
    ACTIVATION: tl.constexpr,
    PIXELS: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    tiles_n: tl.constexpr = (C + BLOCK_N - 1) // BLOCK_N
    pid_m = tl.program_id(0) // tiles_n
    row = pid_m.to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    mask_m = row < samples.to(tl.int64) * pixels
    offs_n = (tl.program_id(0) % tiles_n) * BLOCK_N + tl.arange(0, BLOCK_N)
    mask_n = offs_n < C
    mask = mask_m[:, None] & mask_n[None, :]
    offs = (row * C)[:, None] + offs_n[None, :]
    sample = tl.where(mask_m, row, 0) // pixels
    x = tl.load(x_ptr + offs, mask=mask, other=0.0)
    scale = load_rows(scale_ptr, scale_apart, sample, offs_n, mask_m, mask_n, C, ROWS)
    shift = load_rows(shift_ptr, shift_apart, sample, offs_n, mask_m, mask_n, C, ROWS)
    z = activate(affine(x, scale, shift), negative_slope, ACTIVATION).to(x_ptr.dtype.element_ty)
    if PIXELS:
        tl.store(z_ptr + offs, to_pixel(z.to(tl.float32)), mask=mask)
    else:
        tl.store(z_ptr + offs, z, mask=mask)


_SIZES = ["samples", "pixels", "samples_per_tile", "pieces", "scale_apart", "shift_apart", "group_tiles"]


@triton.jit(do_not_specialize=_SIZES)
def _affine_act_backward_kernel(
    dx_ptr,  # [N, pixels, C] or None
    ds_ptr,  # float32 [C], BY_SAMPLE [N, C], or None
    dt_ptr,  # as ds_ptr
    partial_ptr,  # float32 [tiles, 2, C], BY_SAMPLE [pieces, N, 2, C]
    group_ptr,  # float64 [groups, 2, C], None BY_SAMPLE
    counter_ptr,  # int32, zeros
    dz_ptr,  # [N, pixels, C]
    x_ptr,  # [N, pixels, C], read for an activation and ds alone, or None
    scale_ptr,  # float32 [1 or N, C] or None
    shift_ptr,  # float32 [1 or N, C] or None
    samples,
    pixels,
    samples_per_tile,
    pieces,
    scale_apart,
    shift_apart,
    group_tiles,
    negative_slope,
    C: tl.constexpr,
    ACTIVATION: tl.constexpr,
    BY_SAMPLE: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    tiles_n: tl.constexpr = (C + BLOCK_N - 1) // BLOCK_N
    tiles_m = tl.num_programs(0) // tiles_n
    pid_m = tl.program_id(0) // tiles_n
    pid_n = tl.program_id(0) % tiles_n
    sample, pixel, slot, mask_m = tile_rows(pid_m, samples, pixels, samples_per_tile, pieces, BY_SAMPLE, BLOCK_M)
    offs_n = pid_n * BLOCK_N + tl.arange(0, BLOCK_N)
    mask_n = offs_n < C
    mask = mask_m[:, None] & mask_n[None, :]
    offs = ((sample.to(tl.int64) * pixels + pixel) * C)[:, None] + offs_n[None, :]
    dv = tl.load(dz_ptr + offs, mask=mask, other=0.0).to(tl.float32)
    x = load_map(x_ptr, offs, mask)
    scale = load_rows(scale_ptr, scale_apart, sample, offs_n, mask_m, mask_n, C, ROWS)
    if ACTIVATION != 0:
        shift = load_rows(shift_ptr, shift_apart, sample, offs_n, mask_m, mask_n, C, ROWS)
        dv = activate_backward(dv, affine(x, scale, shift), negative_slope, ACTIVATION)
    if dx_ptr is not None:
        dx = dv
        if scale is not None:
            dx = dv * scale
        tl.store(dx_ptr + offs, dx.to(dx_ptr.dtype.element_ty), mask=mask)
    if (ds_ptr is not None) or (dt_ptr is not None):
        dv = tl.where(mask, dv, 0.0)
        by_scale = dv
        if ds_ptr is not None:
            by_scale = dv * x.to(tl.float32)
        if BY_SAMPLE:
            finish_sums_by_sample(
                ds_ptr,
                dt_ptr,
                partial_ptr,
                counter_ptr,
                pid_m,
                tiles_m,
                0,
                1,
                samples,
                samples_per_tile,
                pieces,
                pid_n,
                slot,
                by_scale,
                dv,
                offs_n,
                mask_n,
                C,
            )
        else:
            finish_sums(
                ds_ptr,
                dt_ptr,
                partial_ptr,
                group_ptr,
                counter_ptr,
                pid_m,
                tiles_m,
                group_tiles,
                pid_n,
                by_scale,
                dv,
                offs_n,
                mask_n,
                C,
            )


def affine_act(
    input: Tensor, scale: Tensor | None, shift: Tensor | None, activation: int, negative_slope: float, pixels: bool
) -> Tensor:
    """Arguments and result as of the operator `fastgan_C::affine_act`; of a map [N, C, H, W] it is channels_last."""
    x = _channels_inside(input)
    z = torch.empty_like(x, dtype=torch.uint8 if pixels else None)
    if z.numel() > 0:
        samples, size, channels = x.shape
        block_m, block_n = _tile(channels)
        with torch.cuda.device_of(input):
            _affine_act_kernel[(triton.cdiv(samples * size, block_m) * triton.cdiv(channels, block_n),)](
                z,
                x,
                geometry.dense(scale),
                geometry.dense(shift),
                samples,
                size,
                geometry.rows_apart(scale),
                geometry.rows_apart(shift),
                float(negative_slope),
                C=channels,
                ACTIVATION=activation,
                PIXELS=pixels,
                ROWS=geometry.BY_ROW.value if geometry.has_rows(scale, shift) else geometry.SHARED.value,
                BLOCK_M=block_m,
                BLOCK_N=block_n,
                num_warps=_WARPS,
            )
    return _like_map(z, input)


def affine_act_backward(
    grad_output: Tensor,
    input: Tensor | None,
    scale: Tensor | None,
    shift: Tensor | None,
    activation: int,
    negative_slope: float,
    need_input: bool,
    need_scale: bool,
    need_shift: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Arguments and results (dx, ds, dt) as of the operator `fastgan_C::affine_act_backward`.

    A result that is not needed is a tensor of size [0]. Raises ValueError for more pixels than a grid counts.
    """
    dz = _channels_inside(grad_output)
    samples, pixels, channels = dz.shape
    geometry.check_pixels(samples, (pixels, 1))
    absent = grad_output.new_empty(0)
    dx = torch.empty_like(dz) if need_input else None
    if dz.numel() == 0:
        dscale, dshift = (
            torch.zeros_like(each) if need else absent for each, need in ((scale, need_scale), (shift, need_shift))
        )
    else:
        block_m, block_n = _tile(channels)
        by_sample = geometry.has_rows(scale, shift)
        plan = geometry.tile_plan(samples, pixels, block_m, by_sample)
        columns = triton.cdiv(channels, block_n)
        sums = SumBuffers(dz, channels, columns, 1, plan, need_scale, need_shift)
        reads_input = activation != 0 or need_scale
        with torch.cuda.device_of(grad_output):
            _affine_act_backward_kernel[(plan.tiles * columns,)](
                dx,
                sums.ds,
                sums.dt,
                sums.partial,
                sums.groups,
                sums.counters,
                dz,
                _channels_inside(input) if reads_input else None,
                geometry.dense(scale),
                geometry.dense(shift),
                samples,
                pixels,
                plan.samples_per_tile,
                plan.pieces,
                geometry.rows_apart(scale),
                geometry.rows_apart(shift),
                sums.group_tiles,
                float(negative_slope),
                C=channels,
                ACTIVATION=activation,
                BY_SAMPLE=by_sample,
                ROWS=geometry.vector_rows(plan, by_sample),
                BLOCK_M=block_m,
                BLOCK_N=block_n,
                num_warps=_WARPS,
            )
        dscale, dshift = sums.results(scale, shift, absent)
    return absent if dx is None else _like_map(dx, grad_output), dscale, dshift


def _tile(channels: int) -> tuple[int, int]:
    """BLOCK_M and BLOCK_N: more rows for few channels, but no more than float32 adds up without losing digits."""
    columns = min(_MOST_COLUMNS, triton.next_power_of_2(channels))
    return min(_MOST_ROWS, _ELEMENTS // columns), columns


def _channels_inside(x: Tensor) -> Tensor:
    """x [N, C, ...] as dense memory [N, pixels, C]."""
    return x.flatten(2).movedim(1, 2).contiguous() if x.ndim > 2 else x.contiguous()[:, None]


def _like_map(z: Tensor, map: Tensor) -> Tensor:
    """z [N, pixels, C] in the shape of `map` [N, C, ...]."""
    if map.ndim == 4:
        samples, channels, height, width = map.shape
        return z.view(samples, height, width, channels).permute(0, 3, 1, 2)
    return z.movedim(2, 1).reshape(map.shape).contiguous()
