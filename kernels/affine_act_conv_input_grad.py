"""affine_act_conv_input_grad in Triton: dx, ds and dt of a convolution of act(scale * x + shift).

The convolution that runs is the other of the two, from output to input, with the same weight (kernels/taps.py); here
C and CO, in and out are its own. Operand A is dy, formed in registers from up to two maps that are read; what comes
out of the GEMM is dz, and in its epilogue dv = act'(v) dz, dx = s dv, ds = sum dv x, dt = sum dv.
"""

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from fastgan.kernels import configurations, geometry
from fastgan.kernels.activation import activate_backward
from fastgan.kernels.operands import affine, as_maps, load_bias, load_map, load_rows, load_vector, output_gradient
from fastgan.kernels.precision import multiply_add, precision
from fastgan.kernels.sum_buffers import SumBuffers
from fastgan.kernels.sums import finish_sums, finish_sums_by_sample
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
def _affine_act_conv_input_grad_kernel(
    dx_ptr,  # [N, out_height, out_width, CO] or None
    ds_ptr,  # float32 [CO], BY_SAMPLE [N, CO], or None
    dt_ptr,  # as ds_ptr
    partial_ptr,  # float32 [tiles, 2, CO], BY_SAMPLE [phases * pieces, N, 2, CO]
    group_ptr,  # float64 [groups, 2, CO], None BY_SAMPLE
    counter_ptr,  # int32, zeros
    gy_ptr,  # [N, height, width, C] or None
    gmean_ptr,  # float32 [C] or None
    gvar_ptr,  # float32 [C] or None
    y_ptr,  # [N, height, width, C], read with gvar alone, there without gy for its dtype, or None
    mean_ptr,  # float32 [C], read with gvar alone, or None
    bias_ptr,  # [C], read with gvar alone, or None
    w_ptr,  # [CO, KH, KW, C], transposed [C, KH, KW, CO]
    x_ptr,  # [N, out_height, out_width, CO], read for an activation and ds alone, or None
    scale_ptr,  # float32 [1 or N, CO] or None
    shift_ptr,  # float32 [1 or N, CO] or None
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
    per_count,
    negative_slope,
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
    BY_SAMPLE: tl.constexpr,
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

    sample, slot, mask_m, out_h, out_w, row_h, row_w, taps_h, taps_w, first_h, first_w = phase_rows(
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
        BY_SAMPLE,
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
        offs = row[:, None] + (ahead * C + channel)[None, :]
        mask_c = channel < C
        dy = output_gradient(
            load_map(gy_ptr, offs, inside),
            load_map(y_ptr, offs, inside),
            load_vector(gmean_ptr, channel, mask_c),
            load_vector(gvar_ptr, channel, mask_c),
            load_vector(mean_ptr, channel, mask_c),
            load_bias(bias_ptr, channel, mask_c, gy_ptr, y_ptr),
            per_count,
            inside & mask_c[None, :],
        )
        w = load_weight(
            w_ptr, weight_tap, channel, offs_n, mask_k, C, CO, KH * KW, TRANSPOSED, FLAT, BLOCK_K, PRECISION
        )
        acc = multiply_add(as_maps(dy, gy_ptr, y_ptr), as_maps(w, gy_ptr, y_ptr), acc, PRECISION)

    mask = mask_m[:, None] & mask_n[None, :]
    offs = (((sample.to(tl.int64) * out_height + out_h) * out_width + out_w) * CO)[:, None] + offs_n[None, :]
    dv = acc
    x = load_map(x_ptr, offs, mask)
    scale = load_rows(scale_ptr, scale_apart, sample, offs_n, mask_m, mask_n, CO, ROWS)
    if ACTIVATION != 0:
        shift = load_rows(shift_ptr, shift_apart, sample, offs_n, mask_m, mask_n, CO, ROWS)
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
                phase,
                tl.num_programs(1),
                samples,
                samples_per_tile,
                pieces,
                pid_n,
                slot,
                by_scale,
                dv,
                offs_n,
                mask_n,
                CO,
            )
        else:
            finish_sums(
                ds_ptr,
                dt_ptr,
                partial_ptr,
                group_ptr,
                counter_ptr,
                phase * tiles_m + pid_m,
                tiles_m * tl.num_programs(1),
                group_tiles,
                pid_n,
                by_scale,
                dv,
                offs_n,
                mask_n,
                CO,
            )


def affine_act_conv_input_grad(
    grad_output: Tensor | None,
    grad_mean: Tensor | None,
    grad_var: Tensor | None,
    output: Tensor | None,
    mean: Tensor | None,
    bias: Tensor | None,
    weight: Tensor,
    input: Tensor | None,
    scale: Tensor | None,
    shift: Tensor | None,
    activation: int,
    negative_slope: float,
    stride: Sequence[int],
    padding: Sequence[int],
    input_size: Sequence[int],
    transposed: bool,
    need_input: bool,
    need_scale: bool,
    need_shift: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Arguments and results (dx, ds, dt) as of `fastgan_C::affine_act_conv_input_grad`; dx is channels_last.

    A result that is not needed is a tensor of size [0]. Raises ValueError for more pixels than a grid counts.
    """
    like = grad_output if grad_output is not None else output
    samples, channels, *size = like.shape
    out_channels = weight.shape[0 if transposed else 1]
    where = size, input_size, weight.shape[2:], stride, padding, not transposed
    shape = geometry.correlation(samples, channels, out_channels, *where)
    absent = like.new_empty(0)
    dx = geometry.empty_map(samples, out_channels, input_size, like) if need_input else absent
    if samples * out_channels * input_size[0] * input_size[1] == 0 or like.numel() == 0:
        zeros = [
            torch.zeros_like(each) if need else absent for each, need in ((scale, need_scale), (shift, need_shift))
        ]
        return dx.zero_(), *zeros

    family = configurations.family(like.device)
    how = precision(like.dtype, family)
    config = configurations.for_convolution("input_grad", family, how, shape)
    by_sample = geometry.has_rows(scale, shift)
    plan = geometry.tile_plan(samples, shape.phase_pixels, config.block_m, by_sample)
    columns = triton.cdiv(out_channels, config.block_n)
    sums = SumBuffers(like, out_channels, columns, shape.phases, plan, need_scale, need_shift)
    reads_input = activation != 0 or need_scale
    with torch.cuda.device_of(like):
        _affine_act_conv_input_grad_kernel[(plan.tiles * columns, shape.phases)](
            dx if need_input else None,
            sums.ds,
            sums.dt,
            sums.partial,
            sums.groups,
            sums.counters,
            geometry.channels_last(grad_output),
            geometry.dense(grad_mean),
            geometry.dense(grad_var),
            geometry.channels_last(output) if grad_var is not None or grad_output is None else None,
            geometry.dense(mean) if grad_var is not None else None,
            geometry.dense(bias) if grad_var is not None else None,
            geometry.channels_last(weight),
            geometry.channels_last(input) if reads_input else None,
            geometry.dense(scale),
            geometry.dense(shift),
            shape.samples,
            *shape.in_size,
            *shape.out_size,
            plan.samples_per_tile,
            plan.pieces,
            geometry.rows_apart(scale),
            geometry.rows_apart(shift),
            sums.group_tiles,
            1.0 / (samples * size[0] * size[1]),
            float(negative_slope),
            **shape.constants(),
            ACTIVATION=activation,
            BY_SAMPLE=by_sample,
            ROWS=geometry.vector_rows(plan, by_sample),
            PRECISION=how,
            **config.constants(),
        )
    return dx, *sums.results(scale, shift, absent)
