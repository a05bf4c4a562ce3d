"""affine_act_conv_weight_grad in Triton: dw of a convolution or transposed convolution of act(scale * x + shift).

A GEMM whose K runs over the pixels of the small map, cut into splits; rows are the channels of the small map, columns
the kernel's taps times the channels of the large one, as dw lies in channels_last memory:

    dw[cs, tap, cl] = sum over pixels p of small[p, cs] * large[p * S - P + tap, cl]

The small map of a convolution is dy and the large one z; of a transposed convolution it is the other way round. Both
are formed in registers from what is stored (kernels/operands.py). Each split stores a partial sum in float32, the
last arriver of a tile adds them in their order. How many there are depends on the shape and the tiles alone.
"""

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from fastgan.kernels import configurations, geometry, workspace
from fastgan.kernels.merging import is_last
from fastgan.kernels.operands import activated, load_bias, load_map, load_rows, load_vector, output_gradient
from fastgan.kernels.precision import multiply_add, precision
from fastgan.kernels.taps import swizzled
from torch import Tensor


@triton.jit(do_not_specialize=["samples", "large_height", "large_width", "split_steps", "scale_apart", "shift_apart"])
def _affine_act_conv_weight_grad_kernel(
    dw_ptr,  # [CS, KH * KW, CL]
    db_ptr,  # [CS], sums of gy, not with TRANSPOSED, or None
    partial_ptr,  # float32 [splits, CS, KH * KW, CL], None for a single split
    db_partial_ptr,  # float32 [splits, CS], None as partial_ptr or db_ptr
    counter_ptr,  # int32 [tiles], zeros, None for a single split
    gy_ptr,  # dy's map [N, H, W, channels] or None, as the next five in the input gradient
    gmean_ptr,
    gvar_ptr,
    y_ptr,
    mean_ptr,
    bias_ptr,
    x_ptr,  # z's map [N, H, W, channels]
    scale_ptr,  # float32 [1 or N, channels of x] or None
    shift_ptr,  # float32 [1 or N, channels of x] or None
    samples,
    large_height,
    large_width,
    split_steps,
    scale_apart,
    shift_apart,
    per_count,
    negative_slope,
    CS: tl.constexpr,
    CL: tl.constexpr,
    SMALL_HEIGHT: tl.constexpr,
    SMALL_WIDTH: tl.constexpr,
    KH: tl.constexpr,
    KW: tl.constexpr,
    SH: tl.constexpr,
    SW: tl.constexpr,
    PH: tl.constexpr,
    PW: tl.constexpr,
    TRANSPOSED: tl.constexpr,
    ACTIVATION: tl.constexpr,
    ROWS: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    GROUP: tl.constexpr,
):
    columns: tl.constexpr = KH * KW * CL
    Z_CHANNELS: tl.constexpr = CS if TRANSPOSED else CL
    tiles_n: tl.constexpr = (columns + BLOCK_N - 1) // BLOCK_N
    tile = tl.program_id(0)
    pid_m, pid_n = swizzled(tile, tl.num_programs(0) // tiles_n, tiles_n, GROUP)
    split = tl.program_id(1)

    offs_m = pid_m * BLOCK_M + tl.arange(0, BLOCK_M)
    mask_m = offs_m < CS
    offs_n = pid_n * BLOCK_N + tl.arange(0, BLOCK_N)
    mask_n = offs_n < columns
    if CL % BLOCK_N == 0:
        # A tile within one tap masks rows alone, not elements.
        blocks: tl.constexpr = CL // BLOCK_N
        channel = (pid_n % blocks) * BLOCK_N + tl.arange(0, BLOCK_N)
        t_h = pid_n // blocks // KW
        t_w = pid_n // blocks % KW
    else:
        channel = offs_n % CL
        t_h = (offs_n // CL // KW)[None, :]
        t_w = (offs_n // CL % KW)[None, :]
    ahead = (t_h * large_width + t_w) * CL + channel[None, :]

    # Which of the two is dy: its vectors belong to rows or to columns, and do not change along K.
    dy_channel = channel if TRANSPOSED else offs_m
    dy_mask = mask_n if TRANSPOSED else mask_m
    z_channel = offs_m if TRANSPOSED else channel
    z_mask = mask_m if TRANSPOSED else mask_n
    gmean = load_vector(gmean_ptr, dy_channel, dy_mask)
    gvar = load_vector(gvar_ptr, dy_channel, dy_mask)
    mean = load_vector(mean_ptr, dy_channel, dy_mask)
    bias = load_bias(bias_ptr, dy_channel, dy_mask, gy_ptr, y_ptr)

    pixels = samples * (SMALL_HEIGHT * SMALL_WIDTH)
    first = split * split_steps
    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    by_bias = tl.zeros((BLOCK_K, BLOCK_M) if db_ptr is not None else (1, 1), tl.float32)
    for step in range(first, tl.minimum(first + split_steps, tl.cdiv(pixels, BLOCK_K))):
        pixel = step * BLOCK_K + tl.arange(0, BLOCK_K)
        mask_k = pixel < pixels
        sample = tl.where(mask_k, pixel // (SMALL_HEIGHT * SMALL_WIDTH), 0)
        i = pixel % (SMALL_HEIGHT * SMALL_WIDTH) // SMALL_WIDTH
        j = pixel % SMALL_WIDTH
        offs_s = (pixel.to(tl.int64) * CS)[:, None] + offs_m[None, :]
        inside_s = mask_k[:, None] & mask_m[None, :]
        row_h = i * SH - PH
        row_w = j * SW - PW
        row = ((sample.to(tl.int64) * large_height + row_h) * large_width + row_w) * CL
        offs_l = row[:, None] + ahead
        h = row_h[:, None] + t_h
        w = row_w[:, None] + t_w
        inside_l = mask_k[:, None] & (h >= 0) & (h < large_height) & (w >= 0) & (w < large_width) & mask_n[None, :]

        offs_dy = offs_l if TRANSPOSED else offs_s
        inside_dy = inside_l if TRANSPOSED else inside_s
        offs_z = offs_s if TRANSPOSED else offs_l
        inside_z = inside_s if TRANSPOSED else inside_l
        gy = load_map(gy_ptr, offs_dy, inside_dy)
        y = load_map(y_ptr, offs_dy, inside_dy)
        dy = output_gradient(gy, y, gmean, gvar, mean, bias, per_count, inside_dy).to(x_ptr.dtype.element_ty)
        if db_ptr is not None:
            by_bias += gy.to(tl.float32)
        x = load_map(x_ptr, offs_z, inside_z)
        scale = load_rows(scale_ptr, scale_apart, sample, z_channel, mask_k, z_mask, Z_CHANNELS, ROWS)
        shift = load_rows(shift_ptr, shift_apart, sample, z_channel, mask_k, z_mask, Z_CHANNELS, ROWS)
        z = activated(x, scale, shift, inside_z, negative_slope, ACTIVATION)
        if TRANSPOSED:
            acc = multiply_add(tl.trans(z), dy, acc, PRECISION)
        else:
            acc = multiply_add(tl.trans(dy), z, acc, PRECISION)

    mask = mask_m[:, None] & mask_n[None, :]
    offs = (offs_m * columns)[:, None] + offs_n[None, :]
    mask_b = mask_m & (pid_n == 0)  # every tile of a row forms its sums, one writes them
    if partial_ptr is None:
        tl.store(dw_ptr + offs, acc.to(dw_ptr.dtype.element_ty), mask=mask)
        if db_ptr is not None:
            tl.store(db_ptr + offs_m, tl.sum(by_bias, 0).to(db_ptr.dtype.element_ty), mask=mask_b)
    else:
        tl.store(partial_ptr + split.to(tl.int64) * (CS * columns) + offs, acc, mask=mask)
        if db_ptr is not None:
            tl.store(db_partial_ptr + split * CS + offs_m, tl.sum(by_bias, 0), mask=mask_b)
        if is_last(counter_ptr + tile, tl.num_programs(1)):
            total = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
            for other in range(0, tl.num_programs(1)):
                total += tl.load(partial_ptr + tl.cast(other, tl.int64) * (CS * columns) + offs, mask=mask, other=0.0)
            tl.store(dw_ptr + offs, total.to(dw_ptr.dtype.element_ty), mask=mask)
            if db_ptr is not None:
                of_bias = tl.zeros((BLOCK_M,), tl.float32)
                for other in range(0, tl.num_programs(1)):
                    of_bias += tl.load(db_partial_ptr + other * CS + offs_m, mask=mask_b, other=0.0)
                tl.store(db_ptr + offs_m, of_bias.to(db_ptr.dtype.element_ty), mask=mask_b)


def affine_act_conv_weight_grad(
    grad_output: Tensor | None,
    grad_mean: Tensor | None,
    grad_var: Tensor | None,
    output: Tensor | None,
    mean: Tensor | None,
    bias: Tensor | None,
    input: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    activation: int,
    negative_slope: float,
    stride: Sequence[int],
    padding: Sequence[int],
    kernel_size: Sequence[int],
    transposed: bool,
    dtype: torch.dtype | None = None,
    bias_dtype: torch.dtype | None = None,
) -> tuple[Tensor, Tensor | None]:
    """(dw, db): arguments and dw as of `fastgan_C::affine_act_conv_weight_grad`; dw is channels_last.

    dtype: of dw, if not that of the maps. db is the sum of grad_output by channel in `bias_dtype`, None without one or
    without grad_output.
    Raises ValueError for more pixels than a grid counts.
    """
    like = grad_output if grad_output is not None else output
    small, large = (input, like) if transposed else (like, input)
    samples, small_channels, *small_size = small.shape
    large_channels, large_size = large.shape[1], large.shape[2:]
    geometry.check_pixels(samples, small_size, large_size)
    dw = geometry.empty_map(small_channels, large_channels, kernel_size, input, dtype)
    empty = small.numel() == 0 or large.numel() == 0
    db = own_db = None
    if bias_dtype is not None and grad_output is not None:
        if transposed or empty:  # of a transposed convolution, taps meet a pixel of dy several times or never
            db = grad_output.sum((0, 2, 3), dtype=torch.float32).to(bias_dtype)
        else:
            db = own_db = torch.empty(small_channels, dtype=bias_dtype, device=input.device)
    if empty:
        return dw.zero_(), db

    family = configurations.family(like.device)
    how = precision(input.dtype, family)
    columns = large_channels * kernel_size[0] * kernel_size[1]
    config = configurations.for_weight_grad(family, how, small_channels, columns)
    tiles = triton.cdiv(small_channels, config.block_m) * triton.cdiv(columns, config.block_n)
    split_steps, splits = configurations.splits(samples * small_size[0] * small_size[1], config.block_k, tiles)
    partial = db_partial = counters = None
    if splits > 1:
        partial = torch.empty((splits, *dw.shape), dtype=torch.float32, device=dw.device)
        if own_db is not None:
            db_partial = torch.empty((splits, small_channels), dtype=torch.float32, device=dw.device)
        counters = workspace.counters(tiles, dw.device)
    with torch.cuda.device_of(like):
        _affine_act_conv_weight_grad_kernel[(tiles, splits)](
            dw,
            own_db,
            partial,
            db_partial,
            counters,
            geometry.channels_last(grad_output),
            geometry.dense(grad_mean),
            geometry.dense(grad_var),
            geometry.channels_last(output) if grad_var is not None or grad_output is None else None,
            geometry.dense(mean) if grad_var is not None else None,
            geometry.dense(bias) if grad_var is not None else None,
            geometry.channels_last(input),
            geometry.dense(scale),
            geometry.dense(shift),
            samples,
            *large_size,
            split_steps,
            geometry.rows_apart(scale),
            geometry.rows_apart(shift),
            1.0 / (samples * like.shape[2] * like.shape[3]),
            float(negative_slope),
            CS=small_channels,
            CL=large_channels,
            SMALL_HEIGHT=small_size[0],
            SMALL_WIDTH=small_size[1],
            KH=kernel_size[0],
            KW=kernel_size[1],
            SH=stride[0],
            SW=stride[1],
            PH=padding[0],
            PW=padding[1],
            TRANSPOSED=transposed,
            ACTIVATION=activation,
            ROWS=geometry.BY_ROW.value if geometry.has_rows(scale, shift) else geometry.SHARED.value,
            PRECISION=how,
            BLOCK_M=config.block_m,
            BLOCK_N=config.block_n,
            BLOCK_K=config.block_k,
            GROUP=config.group,
            num_warps=config.num_warps,
            num_stages=config.num_stages,
        )
    return dw, db
