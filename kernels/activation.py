"""The scalar maths of scale, shift and activation in Triton, on blocks of float32: that of csrc/common/affine_act.h."""

import triton
import triton.language as tl
from fastgan.kernels.exponential import tanh_of, tanh_slope

# Positions in fastgan.reference.affine_act.ACTIVATIONS.
NONE = tl.constexpr(0)
LEAKY_RELU = tl.constexpr(1)
RELU = tl.constexpr(2)
TANH = tl.constexpr(3)


@triton.jit
def activate(v, negative_slope, ACTIVATION: tl.constexpr):
    """act(v). A NaN passes, as in torch."""
    if ACTIVATION == LEAKY_RELU:
        return tl.where(v > 0.0, v, v * negative_slope)
    elif ACTIVATION == RELU:
        return tl.where(v <= 0.0, 0.0, v)
    elif ACTIVATION == TANH:
        return tanh_of(v)
    else:
        return v


@triton.jit
def activate_backward(dz, v, negative_slope, ACTIVATION: tl.constexpr):
    """dz * act'(v); at 0 and at NaN as torch: the negative slope and 0, the negative slope and 1."""
    if ACTIVATION == LEAKY_RELU:
        return tl.where(v > 0.0, dz, dz * negative_slope)
    elif ACTIVATION == RELU:
        return tl.where(v <= 0.0, 0.0, dz)
    elif ACTIVATION == TANH:
        return dz * tanh_slope(v)
    else:
        return dz


@triton.jit
def to_pixel(z):
    """(z + 1) * 127.5, half to even, cut to 0 .. 255; 0 for NaN. Adding 1.5 * 2^23 rounds to an integer."""
    value = (z + 1.0) * 127.5
    value = tl.where(value > 0.0, value, 0.0)
    value = tl.where(value < 255.0, value, 255.0)
    return ((value + 12582912.0) - 12582912.0).to(tl.int32).to(tl.uint8)
