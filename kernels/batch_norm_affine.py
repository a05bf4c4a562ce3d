"""batch_norm_affine in Triton: a batch norm's scale and shift from its statistics, and back; a launch each.

Vectors of channels: nothing here is large, each launch stands for eight of stock torch's.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 128


@triton.jit
def _batch_norm_affine_kernel(
    scale_ptr,  # float32 [rows, C]
    shift_ptr,  # float32 [rows, C]
    unbiased_ptr,  # float32 [C]
    mean_ptr,  # float32 [C]
    var_ptr,  # float32 [C]
    weight_ptr,  # [C] or [rows, C], or None
    bias_ptr,  # [C] or [rows, C], or None
    C,
    rows,
    weight_stride,
    bias_stride,
    eps,
    correction,
    BLOCK: tl.constexpr,
):
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offs < C
    mean = tl.load(mean_ptr + offs, mask=mask, other=0.0)
    var = tl.load(var_ptr + offs, mask=mask, other=1.0)
    tl.store(unbiased_ptr + offs, var * correction, mask=mask)
    r = 1.0 / tl.sqrt_rn(var + eps)
    for row in range(0, rows):
        scale = r
        if weight_ptr is not None:
            scale = r * tl.load(weight_ptr + row * weight_stride + offs, mask=mask, other=0.0).to(tl.float32)
        shift = -mean * scale
        if bias_ptr is not None:
            shift += tl.load(bias_ptr + row * bias_stride + offs, mask=mask, other=0.0).to(tl.float32)
        tl.store(scale_ptr + row * C + offs, scale, mask=mask)
        tl.store(shift_ptr + row * C + offs, shift, mask=mask)


@triton.jit
def _batch_norm_affine_backward_kernel(
    dmean_ptr,  # float32 [C]
    dvar_ptr,  # float32 [C]
    dweight_ptr,  # float32 [rows, C]
    dbias_ptr,  # float32 [rows, C]
    grad_scale_ptr,  # float32 [rows, C] or None
    grad_shift_ptr,  # float32 [rows, C] or None
    mean_ptr,  # float32 [C]
    var_ptr,  # float32 [C]
    weight_ptr,  # [C] or [rows, C], or None
    C,
    rows,
    weight_stride,
    eps,
    BLOCK: tl.constexpr,
):
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offs < C
    mean = tl.load(mean_ptr + offs, mask=mask, other=0.0)
    r = 1.0 / tl.sqrt_rn(tl.load(var_ptr + offs, mask=mask, other=1.0) + eps)
    by_mean = tl.zeros((BLOCK,), tl.float32)
    by_var = tl.zeros((BLOCK,), tl.float32)
    for row in range(0, rows):
        gs = tl.zeros((BLOCK,), tl.float32)
        gt = tl.zeros((BLOCK,), tl.float32)
        w = tl.full((BLOCK,), 1.0, tl.float32)
        if grad_scale_ptr is not None:
            gs = tl.load(grad_scale_ptr + row * C + offs, mask=mask, other=0.0)
        if grad_shift_ptr is not None:
            gt = tl.load(grad_shift_ptr + row * C + offs, mask=mask, other=0.0)
        if weight_ptr is not None:
            w = tl.load(weight_ptr + row * weight_stride + offs, mask=mask, other=0.0).to(tl.float32)
        u = gs - mean * gt
        by_mean += gt * w
        by_var += u * w
        tl.store(dweight_ptr + row * C + offs, u * r, mask=mask)
        tl.store(dbias_ptr + row * C + offs, gt, mask=mask)
    tl.store(dmean_ptr + offs, -by_mean * r, mask=mask)
    tl.store(dvar_ptr + offs, -0.5 * (r * r * r) * by_var, mask=mask)


def batch_norm_affine(
    mean: Tensor, var: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, count: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Arguments and results as of the operator `fastgan::batch_norm_affine`; mean and var float32 [C]."""
    channels = mean.shape[0]
    rows = max((each.shape[0] for each in (weight, bias) if each is not None and each.ndim == 2), default=1)
    scale, shift = mean.new_empty(rows, channels), mean.new_empty(rows, channels)
    unbiased = torch.empty_like(var)
    weight, bias = (each if each is None else each.contiguous() for each in (weight, bias))
    with torch.cuda.device_of(mean):
        _batch_norm_affine_kernel[(triton.cdiv(channels, BLOCK),)](
            scale,
            shift,
            unbiased,
            mean.contiguous(),
            var.contiguous(),
            weight,
            bias,
            channels,
            rows,
            _row_stride(weight),
            _row_stride(bias),
            eps,
            count / (count - 1) if count else 1.0,
            BLOCK=BLOCK,
        )
    return scale, shift, unbiased


def batch_norm_affine_backward(
    grad_scale: Tensor | None, grad_shift: Tensor | None, mean: Tensor, var: Tensor, weight: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Arguments and results as of the operator `fastgan::batch_norm_affine_backward`; all in float32."""
    some = grad_scale if grad_scale is not None else grad_shift
    rows, channels = some.shape
    dmean, dvar = torch.empty_like(mean), torch.empty_like(var)
    dweight, dbias = mean.new_empty(rows, channels), mean.new_empty(rows, channels)
    grad_scale, grad_shift, weight = (
        each if each is None else each.contiguous() for each in (grad_scale, grad_shift, weight)
    )
    with torch.cuda.device_of(mean):
        _batch_norm_affine_backward_kernel[(triton.cdiv(channels, BLOCK),)](
            dmean,
            dvar,
            dweight,
            dbias,
            grad_scale,
            grad_shift,
            mean.contiguous(),
            var.contiguous(),
            weight,
            channels,
            rows,
            _row_stride(weight),
            eps,
            BLOCK=BLOCK,
        )
    return dmean, dvar, dweight, dbias


def _row_stride(vector: Tensor | None) -> int:
    """Elements between the rows of two samples; 0 where all share one."""
    return 0 if vector is None or vector.ndim == 1 or vector.shape[0] == 1 else vector.shape[1]
