"""Triton's interpreter with the numbers of the hardware: bfloat16 that is right, tf32 that drops bits.

As it comes, the interpreter (3.6 to 3.9) multiplies the bit patterns of bfloat16 as if they were integers, truncates
where float32 becomes bfloat16, and takes tf32 for float32. Import this after TRITON_INTERPRET=1 is in the
environment and call `install` before the first launch.
"""

import numpy as np
import triton.language as tl
from triton.runtime.interpreter import InterpreterBuilder, TensorHandle


def install() -> None:
    """Replace products and conversions of the interpreter, in this process."""
    stock_cast = InterpreterBuilder.cast_impl

    def cast_impl(self, src, dst_type):
        if src.dtype.scalar == tl.float32 and dst_type.scalar == tl.bfloat16:
            return TensorHandle(_to_bfloat16(src.data), tl.bfloat16)
        return stock_cast(self, src, dst_type)

    def create_dot(self, a, b, d, input_precision, max_num_imprecise_acc):
        drop = getattr(input_precision, "name", "") == "TF32" and a.dtype.scalar == tl.float32
        left, right = (_as_float32(each, drop) for each in (a, b))
        return TensorHandle(np.matmul(left, right) + d.data, d.dtype.scalar)

    InterpreterBuilder.cast_impl = cast_impl
    InterpreterBuilder.create_dot = create_dot


def _to_bfloat16(x: np.ndarray) -> np.ndarray:
    """float32 to the upper 16 bits, half to even; a NaN stays one."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return np.where(np.isnan(x), 0x7FC0, rounded).astype(np.uint16)


def _as_float32(handle: TensorHandle, drop: bool) -> np.ndarray:
    """The operand of a product in float32; `drop`: without the 13 bits that a tensor core ignores in tf32."""
    if handle.dtype.scalar == tl.bfloat16:
        return (handle.data.astype(np.uint32) << 16).view(np.float32)
    data = np.ascontiguousarray(handle.data, np.float32)
    return (data.view(np.uint32) & 0xFFFFE000).view(np.float32) if drop else data
