"""What the matrix kernels multiply, formed from what is stored: z from x, dy from gy and y. Blocks of registers.

Vectors come as [1, channels] (or [rows, channels]) in float32, None for those that are absent. What is formed is
float32 until it is rounded to the dtype of the maps, and 0 where `inside` is false: padding is of z and of dy.
"""

import triton
import triton.language as tl
from fastgan.kernels.activation import activate

# How scale and shift are read: one row for all rows of a tile, or one row of them per row of the tile.
SHARED = tl.constexpr(0)
ONE_SAMPLE = tl.constexpr(1)
BY_ROW = tl.constexpr(2)


@triton.jit
def load_rows(ptr, apart, sample, channel, mask_m, mask_c, C: tl.constexpr, ROWS: tl.constexpr):
    """scale or shift at `channel` of C, None if ptr is; apart: rows between those of two samples, 0 or 1."""
    if ptr is None:
        return None
    elif ROWS == BY_ROW:
        # The constant says by how much rows are aligned: 16 bytes are read at once where it allows that.
        offs = sample.to(tl.int64) * (apart * C)
        return tl.load(ptr + (offs[:, None] + channel[None, :]), mask=mask_m[:, None] & mask_c[None, :], other=0.0)
    elif ROWS == ONE_SAMPLE:
        first = tl.max(sample, 0).to(tl.int64) * (apart * C)
        return tl.load(ptr + first + channel, mask=mask_c, other=0.0)[None, :]
    else:
        return tl.load(ptr + channel, mask=mask_c, other=0.0)[None, :]


@triton.jit
def load_vector(ptr, channel, mask_c):
    """A vector per channel as [1, channels] in float32, None if ptr is."""
    if ptr is None:
        return None
    else:
        return tl.load(ptr + channel, mask=mask_c, other=0.0).to(tl.float32)[None, :]


@triton.jit
def as_maps(value, gy_ptr, y_ptr):
    """`value` rounded to the dtype of the maps, which is that of the one of gy and y that is there."""
    if gy_ptr is not None:
        return value.to(gy_ptr.dtype.element_ty)
    else:
        return value.to(y_ptr.dtype.element_ty)


@triton.jit
def load_bias(ptr, channel, mask_c, gy_ptr, y_ptr):
    """A bias as [1, channels] in float32, rounded to the dtype of the maps, None if ptr is."""
    if ptr is None:
        return None
    else:
        return as_maps(tl.load(ptr + channel, mask=mask_c, other=0.0), gy_ptr, y_ptr).to(tl.float32)[None, :]


@triton.jit
def load_map(ptr, offs, mask):
    """A block of a feature map, None if ptr is."""
    if ptr is None:
        return None
    else:
        return tl.load(ptr + offs, mask=mask, other=0.0)


@triton.jit
def affine(x, scale, shift):
    """v = scale * x + shift in float32."""
    v = x.to(tl.float32)
    if scale is not None:
        v = v * scale
    if shift is not None:
        v = v + shift
    return v


@triton.jit
def activated(x, scale, shift, inside, negative_slope, ACTIVATION: tl.constexpr):
    """z = act(scale * x + shift) in the dtype of x, `x` itself if nothing is done."""
    if (scale is None) and (shift is None) and ACTIVATION == 0:
        return x
    else:
        z = activate(affine(x, scale, shift), negative_slope, ACTIVATION)
        if (scale is not None) or (shift is not None):
            z = tl.where(inside, z, 0.0)
        return z.to(x.dtype)


@triton.jit
def output_gradient(gy, y, gmean, gvar, mean, bias, per_count, inside):
    """dy = gy + gmean / n + 2 gvar (y - b - mean) / n in the dtype of the maps; per_count: 1 / n.

    gy, gmean, gvar: None for zero, not all of them; y is read with gvar alone, or for its dtype.
    """
    if (gmean is None) and (gvar is None):
        return gy
    else:
        dy = tl.zeros(inside.shape, tl.float32)
        if gy is not None:
            dy = gy.to(tl.float32)
        if gvar is not None:
            gap = y.to(tl.float32)
            if bias is not None:
                gap = gap - bias
            dy = dy + (2.0 * per_count * gvar) * (gap - mean)
        if gmean is not None:
            dy = dy + gmean * per_count
        return tl.where(inside, dy, 0.0)
