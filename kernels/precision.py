"""Products of blocks: halves as they are; float32 on tensor cores, rounded to tf32, or on ordinary multiply-adds.

A tensor core reads the upper 19 bits of a float32 and ignores the rest: truncation, which makes every product too
small and biases a variance by 1e-3. Operands are therefore rounded before. Three products of operands split in two
(tf32x3) carry 22 of float32's 24 bits: not as exact as stock torch, so where tf32 is not allowed there are none.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def round_tf32(x):
    """x to 10 bits of mantissa, half away from zero; a NaN stays one whatever its bits."""
    bits = x.to(tl.int32, bitcast=True)
    rounded = ((bits + 0x1000) & -0x2000).to(tl.float32, bitcast=True)
    return tl.where(x == x, rounded, x)


@triton.jit
def multiply_add(a, b, acc, PRECISION: tl.constexpr):
    """acc + a @ b in float32. PRECISION: "half", or for float32 operands "tf32" or "ieee"."""
    if PRECISION == "half":
        return tl.dot(a, b, acc)
    elif PRECISION == "tf32":
        return tl.dot(round_tf32(a), round_tf32(b), acc, input_precision="tf32")
    else:
        return tl.dot(a, b, acc, input_precision="ieee")


def precision(dtype: torch.dtype, family: str) -> str:
    """PRECISION for operands of `dtype`: of float32 what torch's own switch for convolutions allows.

    torch.backends.cudnn.conv.fp32_precision, which torch.backends.cudnn.allow_tf32 sets too. AMD: "ieee", since
    most of its families have no tf32.
    """
    if dtype != torch.float32:
        return "half"
    if family == "hip":
        return "ieee"
    return "tf32" if torch.backends.cudnn.conv.fp32_precision == "tf32" else "ieee"
