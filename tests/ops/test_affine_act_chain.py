"""Whole chains out of F: batch norms as scale and shift, against stock layers; penalties; memory."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fastgan.ops.affine_act import affine_act
from fastgan.ops.affine_act_conv2d import affine_act_conv2d
from fastgan.ops.affine_act_conv_transpose2d import affine_act_conv_transpose2d

SLOPE, EPS = 0.3, 1e-3


def scale_and_shift(mean, var, gamma, beta, bias=None):
    """Batch norm of y, whose statistics before bias are (mean, var), as scale and shift [1 or N, C]."""
    scale = gamma * torch.rsqrt(var + EPS)
    centre = mean if bias is None else mean + bias
    return torch.atleast_2d(scale), torch.atleast_2d(beta - centre * scale)


def make_generator(per_sample=False, dtype=torch.float64):
    """x and the arguments of ConvT - BN - LeakyReLU - ConvT(bias) - BN - LeakyReLU - Conv(bias) - tanh."""
    generator = torch.Generator().manual_seed(3)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()

    rows = (4,) if per_sample else ()
    return {
        "x": normal(4, 3, 3, 2),
        "w1": normal(3, 4, 4, 4),
        "gamma1": normal(*rows, 4),
        "beta1": normal(*rows, 4),
        "w2": normal(4, 3, 3, 3),
        "b2": normal(3),
        "gamma2": normal(*rows, 3),
        "beta2": normal(*rows, 3),
        "w3": normal(2, 3, 3, 3),
        "b3": normal(2),
    }


def by_chain(x, w1, gamma1, beta1, w2, b2, gamma2, beta2, w3, b3):
    y1, mean1, var1 = affine_act_conv_transpose2d(x, w1, None, None, None, "none", 1.0, 2, 1, 0)
    affine1 = scale_and_shift(mean1, var1, gamma1, beta1)
    y2, mean2, var2 = affine_act_conv_transpose2d(y1, w2, b2, *affine1, "leaky_relu", SLOPE, 2, 1, 1)
    affine2 = scale_and_shift(mean2, var2, gamma2, beta2, b2)
    y3 = affine_act_conv2d(y2, w3, b3, *affine2, "leaky_relu", SLOPE, 1, 1)[0]
    return affine_act(y3, None, None, "tanh", 1.0)


def by_stock(x, w1, gamma1, beta1, w2, b2, gamma2, beta2, w3, b3):
    def block(y, gamma, beta):
        if gamma.ndim == 1:
            y = F.batch_norm(y, None, None, gamma, beta, True, 0.1, EPS)
        else:
            y = F.batch_norm(y, None, None, None, None, True, 0.1, EPS)
            y = y * gamma[:, :, None, None] + beta[:, :, None, None]
        return F.leaky_relu(y, SLOPE)

    y = block(F.conv_transpose2d(x, w1, None, 2, 1), gamma1, beta1)
    y = block(F.conv_transpose2d(y, w2, b2, 2, 1, 1), gamma2, beta2)
    return torch.tanh(F.conv2d(y, w3, b3, 1, 1))


@pytest.mark.parametrize("per_sample", [False, True], ids=["batch_norm", "conditional"])
def test_chain_equals_the_stock_layers(per_sample):
    """Values, first and second derivatives, in float64; the bias in front of batch norm has the gradient 0."""
    arguments = make_generator(per_sample)
    runs = []
    for function in (by_chain, by_stock):
        output = function(**arguments)
        upstream = torch.linspace(-1, 2, output.numel(), dtype=output.dtype).view(output.shape)
        first = torch.autograd.grad(output, list(arguments.values()), upstream, create_graph=True)
        mixed = sum((g.sin()).sum() for g in first)
        second = torch.autograd.grad(mixed, list(arguments.values()))
        runs.append([output, *first, *second])
    for ours, stock in zip(*runs, strict=True):
        torch.testing.assert_close(ours, stock, rtol=1e-8, atol=1e-9 * runs[1][0].numel())
    (by_b2,) = torch.autograd.grad(by_chain(**arguments).sum(), arguments["b2"])
    assert by_b2.abs().max() < 1e-11


@pytest.mark.parametrize("channels_last", [False, True], ids=["nchw", "channels_last"])
def test_channels_last_goes_through(channels_last):
    arguments = {name: t.detach() for name, t in make_generator(dtype=torch.float32).items()}
    if channels_last:
        arguments["x"] = arguments["x"].contiguous(memory_format=torch.channels_last)
    ours, stock = by_chain(**arguments), by_stock(**arguments)
    assert ours.stride() == stock.stride()
    torch.testing.assert_close(ours, stock, rtol=1e-4, atol=1e-5)


def test_evaluation_mode_is_running_statistics_in_scale_and_shift():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 5, 5, generator=generator)
    bn, conv = nn.BatchNorm2d(3).eval(), nn.Conv2d(3, 2, 3)
    with torch.no_grad():
        for tensor in (bn.running_mean, bn.running_var, bn.weight, bn.bias):
            tensor.copy_(torch.rand(3, generator=generator) + 0.1)
    scale = bn.weight / torch.sqrt(bn.running_var + bn.eps)
    shift = bn.bias - bn.running_mean * scale
    ours = affine_act_conv2d(x, conv.weight, conv.bias, scale[None], shift[None], "relu", 0.0, 1, 0)[0]
    torch.testing.assert_close(ours, conv(F.relu(bn(x))), rtol=1e-5, atol=1e-5)


def make_discriminator(dtype=torch.float64):
    generator = torch.Generator().manual_seed(5)
    shapes = {"w1": (4, 2, 4, 4), "b1": (4,), "w2": (5, 4, 4, 4), "b2": (5,), "head": (5 * 2 * 2,)}
    return {
        name: (0.5 * torch.randn(s, generator=generator, dtype=torch.float64)).to(dtype).requires_grad_()
        for name, s in shapes.items()
    }


def logits_by_chain(x, w1, b1, w2, b2, head):
    y = affine_act_conv2d(x, w1, b1, None, None, "none", 1.0, 2, 1)[0]
    y = affine_act_conv2d(y, w2, b2, None, None, "leaky_relu", SLOPE, 2, 1)[0]
    return affine_act(y, None, None, "leaky_relu", SLOPE).flatten(1) @ head


def logits_by_stock(x, w1, b1, w2, b2, head):
    y = F.leaky_relu(F.conv2d(x, w1, b1, 2, 1), SLOPE)
    return F.leaky_relu(F.conv2d(y, w2, b2, 2, 1), SLOPE).flatten(1) @ head


def test_r1_penalty_equals_stock_torch():
    """The squared gradient for the images and its gradients for the parameters."""
    x = torch.randn(3, 2, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()
    parameters = make_discriminator()
    runs = []
    for logits in (logits_by_chain, logits_by_stock):
        (by_x,) = torch.autograd.grad(logits(x, **parameters).sum(), x, create_graph=True)
        penalty = by_x.square().sum((1, 2, 3)).mean()
        weights = [parameters[name] for name in ("w1", "w2", "head")]
        runs.append([penalty, *torch.autograd.grad(penalty, weights)])
    assert runs[0][0] > 1e-3
    for ours, stock in zip(*runs, strict=True):
        torch.testing.assert_close(ours, stock, rtol=1e-10, atol=1e-12)


def saved_bytes(function) -> int:
    """Bytes of the distinct blocks of memory that autograd holds after `function`."""
    blocks = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        blocks[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = function()
    assert result.requires_grad
    return sum(blocks.values())


def test_saved_for_backward_is_the_convolution_outputs_alone():
    """Stock layers hold each convolution's output, normalised and activated map; the chain the first of these."""
    channels, size, samples = 8, 16, 4
    conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
    norms = [nn.BatchNorm2d(channels, eps=EPS) for _ in range(3)]
    x = torch.randn(samples, channels, size, size, requires_grad=True)

    def stock():
        y = conv(x)
        for bn in norms:
            y = conv(F.leaky_relu(bn(y), SLOPE))
        return y

    def chain():
        y, mean, var = affine_act_conv2d(x, conv.weight, None, None, None, "none", 1.0, 1, 1)
        for bn in norms:
            affine = scale_and_shift(mean, var, bn.weight, bn.bias)
            y, mean, var = affine_act_conv2d(y, conv.weight, None, *affine, "leaky_relu", SLOPE, 1, 1)
        return y

    torch.testing.assert_close(chain(), stock(), rtol=1e-4, atol=1e-5)
    one_map = x.nbytes
    small = one_map // 4  # weights and vectors
    # Stock: x, then conv output, batch norm output, activation, three times.
    assert 10 * one_map <= saved_bytes(stock) <= 10 * one_map + small
    # Chain: x, three inputs that are outputs before, and the last output, for its own statistics.
    assert 5 * one_map <= saved_bytes(chain) <= 5 * one_map + small
