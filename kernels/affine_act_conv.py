"""affine_act_conv in Triton: convolution or transposed convolution of act(scale * x + shift), with statistics.

One implicit GEMM per output phase (kernels/taps.py). Operand A is transformed on its way: cp.async brings x (and s and
t) to shared memory, each thread loads its part of the block into registers, where it becomes act(s * x + t) in
float32, is zeroed where it is padding and rounded to the operand's dtype. In the PTX that Triton 3.7 makes for sm_80
the result goes through shared memory once more, st.shared and ldmatrix, to the layout of mma.sync; for sm_90 it
changes layout the same way and is wgmma's operand A in registers, while the weight stays in shared memory.
The statistics are those of the stored value less bias; the last arriver merges them (kernels/merging.py).
"""

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from fastgan.kernels import configurations, geometry, workspace
from fastgan.kernels.activation import activate, to_pixel
from fastgan.kernels.merging import finish_moments
from fastgan.kernels.operands import activated, load_rows
from fastgan.kernels.precision import multiply_add, precision
from fastgan.kernels.taps import k_steps, load_weight, phase_rows, step_taps, swizzled
from torch import Tensor

_SIZES = [
    "samples",
    "height",
    "width",
    "out_height",
    "out_width",
    "samples_per_tile",
    "pieces",
    "scale_apart",
    "shift_apart",
    "group_tiles",
]


@triton.jit(do_not_specialize=_SIZES)
def _affine_act_conv_kernel(
    y_ptr,  # [N, out_height, out_width, CO], in the dtype of x or uint8
    mean_ptr,  # float32 [CO]; this and the next four None without STATISTICS
    var_ptr,  # float32 [CO]
    partial_ptr,  # float32 [tiles, 4, CO]
    group_ptr,  # float32 [groups, 4, CO]
    counter_ptr,  # int32 [column blocks, groups + 1], zeros
    x_ptr,  # [N, height, width, C]
    w_ptr,  # [CO, KH, KW, C], transposed [C, KH, KW, CO]
    bias_ptr,  # [CO] or None
    scale_ptr,  # float32 [1 or N, C] or None
    shift_ptr,  # float32 [1 or N, C] or None
    samples,
    height,
    width,
    out_height,
    out_width,
    samples_per_tile,
    pieces,
    scale_apart,
    shift_apart,
    group_tiles,
    negative_slope,
    output_slope,
    C: tl.constexpr,
    CO: tl.constexpr,
    KH: tl.constexpr,
    KW: tl.constexpr,
    SH: tl.constexpr,
    SW: tl.constexpr,
    PH: tl.constexpr,
    PW: tl.constexpr,
    TRANSPOSED: tl.constexpr,
    ACTIVATION: tl.constexpr,
    OUTPUT_ACTIVATION: tl.constexpr,
    PIXELS: tl.constexpr,
    STATISTICS: tl.constexpr,
    ROWS: tl.constexpr,
    PRECISION: tl.constexpr,
    FLAT: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    GROUP: tl.constexpr,
):
    tiles_n: tl.constexpr = (CO + BLOCK_N - 1) // BLOCK_N
    tiles_m = tl.num_programs(0) // tiles_n
    pid_m, pid_n = swizzled(tl.program_id(0), tiles_m, tiles_n, GROUP)
    phase = tl.program_id(1)

    sample, _, mask_m, out_h, out_w, row_h, row_w, taps_h, taps_w, first_h, first_w = phase_rows(
        pid_m,
        phase,
        samples,
        out_height,
        out_width,
        samples_per_tile,
        pieces,
        KH,
        KW,
        SH,
        SW,
        PH,
        PW,
        TRANSPOSED,
        ROWS == 1,
        BLOCK_M,
    )
    row = ((sample.to(tl.int64) * height + row_h) * width + row_w) * C
    offs_n = pid_n * BLOCK_N + tl.arange(0, BLOCK_N)
    mask_n = offs_n < CO

    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for step in range(0, k_steps(taps_h * taps_w, C, FLAT, BLOCK_K)):
        inside, ahead, channel, weight_tap, mask_k = step_taps(
            step,
            row_h,
            row_w,
            height,
            width,
            taps_h,
            taps_w,
            first_h,
            first_w,
            C,
            KW,
            SH,
            SW,
            TRANSPOSED,
            FLAT,
            BLOCK_K,
        )
        x = tl.load(x_ptr + (row[:, None] + (ahead * C + channel)[None, :]), mask=inside, other=0.0)
        mask_c = channel < C
        scale = load_rows(scale_ptr, scale_apart, sample, channel, mask_m, mask_c, C, ROWS)
        shift = load_rows(shift_ptr, shift_apart, sample, channel, mask_m, mask_c, C, ROWS)
        z = activated(x, scale, shift, inside, negative_slope, ACTIVATION)
        w = load_weight(
            w_ptr, weight_tap, channel, offs_n, mask_k, C, CO, KH * KW, TRANSPOSED, FLAT, BLOCK_K, PRECISION
        )
        acc = multiply_add(z, w.to(x_ptr.dtype.element_ty), acc, PRECISION)

    mask = mask_m[:, None] & mask_n[None, :]
    if bias_ptr is not None:
        bias = tl.load(bias_ptr + offs_n, mask=mask_n, other=0.0).to(x_ptr.dtype.element_ty).to(tl.float32)
        acc = acc + bias[None, :]
    # x, not y, names the dtype: of pixels too the rounding to it comes first.
    y = activate(acc, output_slope, OUTPUT_ACTIVATION).to(x_ptr.dtype.element_ty)
    out = ((sample.to(tl.int64) * out_height + out_h) * out_width + out_w) * CO
    y_ptrs = y_ptr + (out[:, None] + offs_n[None, :])
    if PIXELS:
        tl.store(y_ptrs, to_pixel(y.to(tl.float32)), mask=mask)
    else:
        tl.store(y_ptrs, y, mask=mask)
    if STATISTICS:
        stored = y.to(tl.float32)
        if bias_ptr is not None:
            stored = stored - bias[None, :]
        finish_moments(
            mean_ptr,
            var_ptr,
            partial_ptr,
            group_ptr,
            counter_ptr,
            phase * tiles_m + pid_m,
            tiles_m * tl.num_programs(1),
            group_tiles,
            pid_n,
            stored,
            mask_m,
            offs_n,
            mask_n,
            CO,
        )


def affine_act_conv(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    scale: Tensor | None,
    shift: Tensor | None,
    activation: int,
    negative_slope: float,
    stride: Sequence[int],
    padding: Sequence[int],
    output_size: Sequence[int],
    transposed: bool,
    statistics: bool,
    output_activation: int = 0,
    output_slope: float = 1.0,
    pixels: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Arguments and results (y, mean, var) as of the operator `fastgan_C::affine_act_conv`; y is channels_last.

    output_activation, output_slope: of y, after the bias; pixels: y as uint8, rounded as `affine_act_uint8` does.
    Neither goes with statistics, which are those of a raw output. Raises ValueError where they are asked for
    together, and for more pixels than a grid counts.
    """
    if statistics and (output_activation or pixels):
        raise ValueError("affine_act_conv: statistics are those of an output that is neither activated nor pixels")
    channels, out_channels = input.shape[1], weight.shape[1 if transposed else 0]
    where = input.shape[2:], output_size, weight.shape[2:], stride, padding, transposed
    shape = geometry.correlation(input.shape[0], channels, out_channels, *where)
    y = geometry.empty_map(len(input), out_channels, output_size, input, torch.uint8 if pixels else None)
    mean, var = torch.empty((2, out_channels if statistics else 0), dtype=torch.float32, device=input.device)
    if y.numel() == 0:
        return y, mean.fill_(torch.nan), var.fill_(torch.nan)

    family = configurations.family(input.device)
    how = precision(input.dtype, family)
    config = configurations.for_convolution("forward", family, how, shape)
    by_sample = geometry.has_rows(scale, shift)
    # By sample where that leaves no row of a tile empty; otherwise each row reads its own scale and shift.
    whole = by_sample and shape.phase_pixels % config.block_m == 0
    plan = geometry.tile_plan(shape.samples, shape.phase_pixels, config.block_m, whole)
    columns = triton.cdiv(out_channels, config.block_n)
    tiles, group_tiles, partial, groups, counters = shape.phases * plan.tiles, 1, None, None, None
    if statistics:
        group_tiles = workspace.group_size(tiles)
        group_count = triton.cdiv(tiles, group_tiles)
        partial, groups = (input.new_empty((n, 4, out_channels), dtype=torch.float32) for n in (tiles, group_count))
        counters = workspace.counters(columns * (group_count + 1), input.device)
    with torch.cuda.device_of(input):
        _affine_act_conv_kernel[(plan.tiles * columns, shape.phases)](
            y,
            mean if statistics else None,
            var if statistics else None,
            partial,
            groups,
            counters,
            geometry.channels_last(input),
            geometry.channels_last(weight),
            geometry.dense(bias),
            geometry.dense(scale),
            geometry.dense(shift),
            shape.samples,
            *shape.in_size,
            *shape.out_size,
            plan.samples_per_tile,
            plan.pieces,
            geometry.rows_apart(scale),
            geometry.rows_apart(shift),
            group_tiles,
            float(negative_slope),
            float(output_slope),
            **shape.constants(),
            ACTIVATION=activation,
            OUTPUT_ACTIVATION=output_activation,
            PIXELS=pixels,
            STATISTICS=statistics,
            ROWS=geometry.vector_rows(plan, by_sample),
            PRECISION=how,
            **config.constants(),
        )
    return y, mean, var
