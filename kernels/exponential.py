"""Scalar maths made of one exponential, for Triton kernels: no libdevice, so that the interpreter runs it as well.

The formulas are those of csrc/common/softplus.h and csrc/common/tanh.h, pinned to them by tests. All in float32.
"""

import triton
import triton.language as tl


@triton.jit
def _power_of_two_reciprocal(k):
    return ((127 - k) << 23).to(tl.float32, bitcast=True)


@triton.jit
def exp_of_negative(a):
    """exp(-a), a >= 0: 2^-k exp(-r), |r| <= ln(2)/2. tl.exp would lose a's low bits for large a."""
    a = tl.where(a > 104.0, 104.0, a)  # written so that NaN passes
    k = tl.floor(a * 1.44269504 + 0.5)
    r = (a - k * 0.693359375) - k * -2.12194440e-4
    p = r * (-1.0 / 5040.0) + 1.0 / 720.0
    p = p * r - 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r - 1.0 / 6.0
    p = p * r + 0.5
    p = p * r - 1.0
    p = p * r + 1.0
    exponent = tl.where(a == a, k, 0.0).to(tl.int32)
    half = exponent >> 1
    return p * _power_of_two_reciprocal(half) * _power_of_two_reciprocal(exponent - half)


@triton.jit
def log1p_unit(e):
    """log(1 + e), 0 <= e <= 1, as 2 atanh(e / (2 + e))."""
    s = e / (2.0 + e)
    z = s * s
    p = z * (1.0 / 15.0) + 1.0 / 13.0
    p = p * z + 1.0 / 11.0
    p = p * z + 1.0 / 9.0
    p = p * z + 1.0 / 7.0
    p = p * z + 1.0 / 5.0
    p = p * z + 1.0 / 3.0
    return 2.0 * (s + s * (z * p))


@triton.jit
def tanh_of(x):
    """tanh(x): near 0 a polynomial in x^2, beyond it (1 - e) / (1 + e) with e = exp(-2|x|), where nothing cancels."""
    a = tl.where(x < 0.0, -x, x)
    z = x * x
    p = z * 0.00229584123 - 0.00834698044
    p = p * z + 0.0217699613
    p = p * z - 0.0539594069
    p = p * z + 0.133333042
    p = p * z - 0.333333343
    small = x + x * (z * p)
    e = exp_of_negative(2.0 * a)
    quotient = (1.0 - e) / (1.0 + e)
    return tl.where(a < 0.625, small, tl.where(x < 0.0, -quotient, quotient))


@triton.jit
def tanh_slope(x):
    """tanh'(x) = 1 - tanh(x)^2 as 4 e / (1 + e)^2, which cancels nowhere."""
    e = exp_of_negative(2.0 * tl.where(x < 0.0, -x, x))
    reciprocal = 1.0 / (1.0 + e)
    return 4.0 * e * reciprocal * reciprocal
