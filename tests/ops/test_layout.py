"""Which memory format results have, above all where a map of one channel or of one pixel could be either."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch._subclasses import FakeTensorMode
from torch.autograd import gradcheck, gradgradcheck
from torch.utils._python_dispatch import TorchDispatchMode

from fastgan.ops.affine_act import affine_act
from fastgan.ops.affine_act_conv2d import affine_act_conv2d
from fastgan.ops.affine_act_conv_transpose2d import affine_act_conv_transpose2d
from fastgan.ops.conv_triple import conv2d, conv2d_weight_grad, conv_transpose2d
from fastgan.reference.affine_act_conv import is_channels_last, laid_out

FORMATS = (torch.contiguous_format, torch.channels_last)
EITHER = [(2, 1, 4, 3), (2, 5, 1, 1), (1, 1, 4, 3), (2, 1, 1, 3), (2, 1, 4, 1), (3, 1, 1, 1)]
PLAIN = {"conv2d": F.conv2d, "conv_transpose2d": F.conv_transpose2d}


def test_the_rule_is_that_of_aten():
    """`to` returns its argument where ATen takes it to have the memory format already."""
    memory = torch.zeros(64)
    for shape in itertools.product((0, 1, 2, 3), repeat=4):
        for strides in itertools.product((0, 1, 2, 6), repeat=4):
            x = memory.as_strided(shape, strides)
            assert is_channels_last(x) == (x.to(memory_format=torch.channels_last) is x), (shape, strides)


@pytest.mark.parametrize("shape", [*EITHER, (2, 3, 4, 5)], ids=str)
@pytest.mark.parametrize("have, want", [*itertools.product(FORMATS, FORMATS)], ids=str)
def test_laid_out(shape, have, want):
    x = torch.randn(shape).to(memory_format=have)
    y = laid_out(x, want)
    assert torch.equal(x, y)
    assert y.stride() == torch.empty(shape, memory_format=want).stride()
    assert y.data_ptr() == x.data_ptr() or (shape not in EITHER and have != want)
    with FakeTensorMode() as mode:
        assert laid_out(mode.from_tensor(x), want).stride() == y.stride()
    x = x.double().requires_grad_()
    assert gradcheck(lambda x: laid_out(x, want) ** 2, x)
    assert gradgradcheck(lambda x: laid_out(x, want) ** 2, x)


def call(kind, x, weight, scale=None, activation="none"):
    """y of a convolution of stride 1."""
    if kind == "conv2d":
        return affine_act_conv2d(x, weight, None, scale, None, activation, 0.2, 1, 0)[0]
    return affine_act_conv_transpose2d(x, weight, None, scale, None, activation, 0.2, 1, 0, 0)[0]


def cases(kind):
    """x and weight in each format, from and to one channel and more, from and to one pixel and more."""
    channels = itertools.product((1, 3), (1, 2))
    for (inner, outer), (size, kernel) in itertools.product(channels, (((4, 5), 3), ((4, 4), 4), ((1, 1), 1))):
        around = (outer, inner) if kind == "conv2d" else (inner, outer)
        x, weight = torch.randn(2, inner, *size), torch.randn(*around, kernel, kernel)
        for of_x, of_weight in itertools.product(FORMATS, FORMATS):
            yield x.to(memory_format=of_x).requires_grad_(), weight.to(memory_format=of_weight).requires_grad_()


@pytest.mark.usefixtures("each_cpu_backend")
@pytest.mark.parametrize("kind", PLAIN)
def test_results_lie_where_torch_puts_them(kind):
    for x, weight in cases(kind):
        stock, ours = PLAIN[kind](x, weight), call(kind, x, weight)
        assert ours.stride() == stock.stride(), (x.shape, x.stride(), weight.stride())
        up = torch.randn(stock.shape).to(memory_format=FORMATS[is_channels_last(stock)])
        (by_stock,), (by_ours,) = (torch.autograd.grad(y, x, up) for y in (stock, ours))
        assert by_ours.stride() == by_stock.stride(), (x.shape, x.stride(), weight.stride())


def results(kind, x, weight):
    """What every operator makes of x and weight, and the first derivatives."""
    y = call(kind, x, weight, torch.ones(1, x.shape[1]), "leaky_relu")
    z = affine_act(x, None, None, "relu", 0.0)
    geometry = [1, 1], [0, 0]
    if kind == "conv2d":
        bare, dw = conv2d(x, weight, *geometry), conv2d_weight_grad(x, y.detach(), weight.shape[2:], *geometry)
    else:
        bare = conv_transpose2d(x, weight, y.shape[2:], *geometry)
        dw = conv2d_weight_grad(y.detach(), x, weight.shape[2:], *geometry)
    made = y, z, bare, dw
    return *made, *(torch.autograd.grad(each, x, torch.ones_like(each), retain_graph=True)[0] for each in made)


@pytest.mark.usefixtures("each_cpu_backend")
@pytest.mark.parametrize("kind", PLAIN)
def test_fake_results_lie_as_real_ones(kind):
    """What comes next is chosen by strides: also those that only say what a map of one channel was made as."""
    for x, weight in cases(kind):
        with FakeTensorMode() as mode:
            fake = [each.stride() for each in results(kind, *map(mode.from_tensor, (x, weight)))]
        assert [each.stride() for each in results(kind, x, weight)] == fake, (x.shape, x.stride(), weight.stride())


class Formats(TorchDispatchMode):
    """Whether each result of the bare convolution was channels_last."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        result = function(*arguments, **(options or {}))
        if function is conv2d:
            self.found.append(is_channels_last(result))
        return result


def test_a_penalty_on_the_gradient_for_grey_images_stays_channels_last():
    """torch's own arithmetic on that gradient gives it the strides of NCHW."""
    x = torch.randn(2, 1, 6, 6).to(memory_format=torch.channels_last).requires_grad_()
    y = call("conv2d", x, torch.randn(4, 1, 3, 3).requires_grad_())
    (slope,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    assert not is_channels_last(slope * slope)
    with Formats() as formats:
        torch.autograd.grad(slope.square().sum(), x)
    assert formats.found == [True]
