"""The bare triple: values against ATen, derivatives that stay inside it, layouts."""

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck

from fastgan import backends
from fastgan.ops import conv_triple
from fastgan.ops.conv_triple import conv2d, conv2d_weight_grad, conv_transpose2d

STRIDE, PADDING = [2, 1], [1, 2]


def make(channels_last=False, dtype=torch.float64):
    """x, y, w of one convolution whose stride leaves a row over."""
    generator = torch.Generator().manual_seed(0)
    shapes = (2, 3, 5, 4), (2, 2, 2, 7), (2, 3, 4, 2)
    tensors = [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in shapes]
    if channels_last:
        tensors = [t.contiguous(memory_format=torch.channels_last) for t in tensors]
    return [t.requires_grad_() for t in tensors]


CALLS = {
    "conv2d": lambda x, y, w: (conv2d, (x, w, STRIDE, PADDING)),
    "conv_transpose2d": lambda x, y, w: (conv_transpose2d, (y, w, x.shape[2:], STRIDE, PADDING)),
    "conv2d_weight_grad": lambda x, y, w: (conv2d_weight_grad, (x, y, w.shape[2:], STRIDE, PADDING)),
}

each = pytest.mark.parametrize("name", CALLS)
on_each_backend = pytest.mark.usefixtures("each_cpu_backend")


@on_each_backend
def test_values():
    x, y, w = make()
    expected = F.conv2d(x, w, None, STRIDE, PADDING)
    assert expected.shape == y.shape
    by_x, by_w = torch.autograd.grad(expected, (x, w), y)
    torch.testing.assert_close(conv2d(x, w, STRIDE, PADDING), expected)
    torch.testing.assert_close(conv_transpose2d(y, w, x.shape[2:], STRIDE, PADDING), by_x)
    torch.testing.assert_close(conv2d_weight_grad(x, y, w.shape[2:], STRIDE, PADDING), by_w)


@on_each_backend
@each
@pytest.mark.parametrize("channels_last", [False, True], ids=["nchw", "channels_last"])
def test_first_and_second_derivatives(name, channels_last):
    op, (first, second, *geometry) = CALLS[name](*make(channels_last))
    assert gradcheck(lambda a, b: op(a, b, *geometry), (first, second))
    assert gradgradcheck(lambda a, b: op(a, b, *geometry), (first, second), fast_mode=True)


@on_each_backend
@each
def test_derivatives_stay_inside(name):
    op, arguments = CALLS[name](*make())
    with backends.record() as runs:
        first = torch.autograd.grad(op(*arguments).square().sum(), arguments[:2], create_graph=True)
    assert {run.op for run in runs} == set(CALLS)
    with backends.record() as runs:
        torch.autograd.grad(first[0].square().sum() + first[1].square().sum(), arguments[:2])
    assert {run.op for run in runs} == set(CALLS)


@each
def test_one_gradient_alone_costs_one_operator(name):
    op, (first, second, *geometry) = CALLS[name](*make())
    result = op(first, second.detach(), *geometry)
    with backends.record() as runs:
        torch.autograd.grad(result.sum(), first)
    assert len(runs) == 1


@on_each_backend
@each
@pytest.mark.parametrize("channels_last", [False, True], ids=["nchw", "channels_last"])
def test_opcheck(name, channels_last):
    torch.library.opcheck(*CALLS[name](*make(channels_last, torch.float32)))


@each
def test_opcheck_with_expanded_gradients(name):
    x, _, w = make(dtype=torch.float32)
    y = torch.ones(2, 1, 1).expand(2, 2, 2, 7)
    torch.library.opcheck(*CALLS[name](x, y, w), test_utils="test_faketensor")


@each
def test_autocast_ends_at_the_door(name, monkeypatch):
    """ATen's convolution has an autocast row of its own on CUDA; here the dtype is that of the arguments."""
    seen, leaf = [], conv_triple._LEAVES[name]["reference"]

    def watched(*arguments):
        seen.append(torch.is_autocast_enabled("cpu"))
        return leaf(*arguments)

    monkeypatch.setitem(conv_triple._LEAVES[name], "reference", watched)
    op, arguments = CALLS[name](*make(dtype=torch.float32))
    with torch.autocast("cpu", torch.bfloat16), backends.use_backend("reference"):
        result = op(*arguments)
    assert seen == [False] and result.dtype == torch.float32
