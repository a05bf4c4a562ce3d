"""The bare bilinear triple: convolution, transposed convolution and the weight gradient of both.

For fixed stride and padding let A be the convolution, B its transpose in the input, W its transpose in the
weight; x is the large map, y the small one, w [C_y, C_x, kH, kW]:

    A(x, w) -> y        B(y, w) -> x        W(x, y) -> w

Each is linear in both arguments, and its gradients are the other two:

    A:  dx = B(dy, w),  dw = W(x, dy)
    B:  dy = A(dx, w),  dw = W(dx, y)
    W:  dx = B(y, dw),  dy = A(x, dw)

So derivatives of every order stay inside the three operators. Neither groups nor dilation.
"""

import functools

import torch
from torch import Tensor

from fastgan import backends
from fastgan.ops import native_leaves, triton_leaves
from fastgan.ops.cpu_passes import NATIVE_DTYPES, measured_fastest
from fastgan.ops.cuda_leaves import CUDA_DTYPES
from fastgan.ops.triton_leaves import TRITON_DTYPES
from fastgan.reference.affine_act_conv import laid_out, layout

for _op in ("conv2d", "conv_transpose2d", "conv2d_weight_grad"):
    backends.register(_op, NATIVE_DTYPES | TRITON_DTYPES | CUDA_DTYPES, auto={"cpu": measured_fastest})

torch.library.define("fastgan::conv2d", "(Tensor input, Tensor weight, int[2] stride, int[2] padding) -> Tensor")
torch.library.define(
    "fastgan::conv_transpose2d",
    "(Tensor input, Tensor weight, SymInt[2] output_size, int[2] stride, int[2] padding) -> Tensor",
)
torch.library.define(
    "fastgan::conv2d_weight_grad",
    "(Tensor large, Tensor small, SymInt[2] kernel_size, int[2] stride, int[2] padding) -> Tensor",
)

conv2d = torch.ops.fastgan.conv2d.default
conv_transpose2d = torch.ops.fastgan.conv_transpose2d.default
conv2d_weight_grad = torch.ops.fastgan.conv2d_weight_grad.default

_NO_DILATION, _NO_GROUPS = (1, 1), 1


def _conv2d_by_aten(input: Tensor, weight: Tensor, stride, padding) -> Tensor:
    return torch.ops.aten.convolution(input, weight, None, stride, padding, _NO_DILATION, False, (0, 0), _NO_GROUPS)


def _conv_transpose2d_by_aten(input: Tensor, weight: Tensor, output_size, stride, padding) -> Tensor:
    output_padding = [
        wanted - ((side - 1) * step - 2 * pad + kernel)
        for wanted, side, step, pad, kernel in zip(
            output_size, input.shape[2:], stride, padding, weight.shape[2:], strict=True
        )
    ]
    return torch.ops.aten.convolution(
        input, weight, None, stride, padding, _NO_DILATION, True, output_padding, _NO_GROUPS
    )


def _conv2d_weight_grad_by_aten(large: Tensor, small: Tensor, kernel_size, stride, padding) -> Tensor:
    # ATen asks for a weight and reads its shape alone.
    weight = small.new_empty(1).expand(small.shape[1], large.shape[1], *kernel_size)
    return torch.ops.aten.convolution_backward(
        small,
        large,
        weight,
        None,
        stride,
        padding,
        _NO_DILATION,
        False,
        (0, 0),
        _NO_GROUPS,
        (False, True, False),
    )[1]


_NOTHING_AROUND = None, None, None, 0, 1.0  # bias, scale, shift, activation, slope


def _conv2d_by(leaves, input: Tensor, weight: Tensor, stride, padding) -> Tensor:
    sides = zip(input.shape[2:], weight.shape[2:], stride, padding, strict=True)
    size = [(side + 2 * pad - kernel) // step + 1 for side, kernel, step, pad in sides]
    return leaves.affine_act_conv(input, weight, *_NOTHING_AROUND, stride, padding, size, False, False)[0]


def _conv_transpose2d_by(leaves, input: Tensor, weight: Tensor, output_size, stride, padding) -> Tensor:
    geometry = stride, padding, output_size
    return leaves.affine_act_conv(input, weight, *_NOTHING_AROUND, *geometry, True, False)[0]


def _conv2d_weight_grad_by(leaves, large: Tensor, small: Tensor, kernel_size, stride, padding) -> Tensor:
    dy = small, None, None, None, None, None
    z = large, *_NOTHING_AROUND[1:]
    return leaves.affine_act_conv_weight_grad(*dy, *z, stride, padding, kernel_size, False)[0]


_ATEN = {
    "conv2d": _conv2d_by_aten,
    "conv_transpose2d": _conv_transpose2d_by_aten,
    "conv2d_weight_grad": _conv2d_weight_grad_by_aten,
}
_BY = {"conv2d": _conv2d_by, "conv_transpose2d": _conv_transpose2d_by, "conv2d_weight_grad": _conv2d_weight_grad_by}
_LEAVES = {
    op: {
        "reference": _ATEN[op],
        "aten": _ATEN[op],
        "cpu": functools.partial(_BY[op], native_leaves),
        "triton": functools.partial(_BY[op], triton_leaves),
        "cuda": _ATEN[op],  # gradients are not for the kernels of csrc/cuda
    }
    for op in _ATEN
}


def _runner(op: str):
    def run(first: Tensor, second: Tensor, *geometry) -> Tensor:
        backend = backends.choose(op, first.device.type, first.dtype)
        # Gradients are taken in the dtype of the forward pass, also inside an autocast block.
        with torch.autocast(first.device.type, enabled=False):
            result = _LEAVES[op][backend](first, second, *geometry)
        backends.note_ran(op, backend)
        return laid_out(result, layout(first, second))

    return run


def _fake(op: str):
    def fake(first: Tensor, second: Tensor, *geometry) -> Tensor:
        return laid_out(_ATEN[op](first, second, *geometry), layout(first, second))

    return fake


for _op in _LEAVES:
    torch.library.impl(f"fastgan::{_op}", ("cpu", "cuda"), _runner(_op))
    torch.library.register_fake(f"fastgan::{_op}", _fake(_op))


def _save(ctx, inputs, output) -> None:
    first, second, *_, ctx.stride, ctx.padding = inputs
    ctx.first_size, ctx.second_size = first.shape[2:], second.shape[2:]
    by_first, by_second = ctx.needs_input_grad[:2]
    ctx.save_for_backward(first if by_second else None, second if by_first else None)


def _conv2d_backward(ctx, dy: Tensor):
    x, w = ctx.saved_tensors
    geometry = ctx.stride, ctx.padding
    dx = None if w is None else conv_transpose2d(dy, w, ctx.first_size, *geometry)
    dw = None if x is None else conv2d_weight_grad(x, dy, ctx.second_size, *geometry)
    return dx, dw, None, None


def _conv_transpose2d_backward(ctx, dx: Tensor):
    y, w = ctx.saved_tensors
    geometry = ctx.stride, ctx.padding
    dy = None if w is None else conv2d(dx, w, *geometry)
    dw = None if y is None else conv2d_weight_grad(dx, y, ctx.second_size, *geometry)
    return dy, dw, None, None, None


def _conv2d_weight_grad_backward(ctx, dw: Tensor):
    x, y = ctx.saved_tensors
    geometry = ctx.stride, ctx.padding
    dx = None if y is None else conv_transpose2d(y, dw, ctx.first_size, *geometry)
    dy = None if x is None else conv2d(x, dw, *geometry)
    return dx, dy, None, None, None


torch.library.register_autograd("fastgan::conv2d", _conv2d_backward, setup_context=_save)
torch.library.register_autograd("fastgan::conv_transpose2d", _conv_transpose2d_backward, setup_context=_save)
torch.library.register_autograd("fastgan::conv2d_weight_grad", _conv2d_weight_grad_backward, setup_context=_save)
