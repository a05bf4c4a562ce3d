"""Penalties: values by hand where a hand can, gradients of parameters against stock torch, misuse in one sentence."""

import pytest
import torch
from torch import nn

from fastgan import functional, penalties
from fastgan.models import Discriminator

IMAGES = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class Linear(nn.Module):
    """logit = w . x, whose slope is w everywhere."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(3 * 8 * 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64))

    def forward(self, x):
        return x.flatten(1) @ self.w


class Stock(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.main = nn.Sequential(
            nn.Conv2d(3, 6, 4, 2, 1), nn.LeakyReLU(0.3), nn.Conv2d(6, 1, 4), nn.Flatten(0)
        ).double()

    def forward(self, x):
        return self.main(x)


class Chained(nn.Module):
    """The same network on our chain operators, sharing the parameters of `stock`."""

    def __init__(self, stock):
        super().__init__()
        self.first, self.last = stock.main[0], stock.main[2]

    def forward(self, x):
        y = functional.affine_act_conv2d(x, self.first.weight, self.first.bias, stride=2, padding=1).output
        act = {"activation": "leaky_relu", "negative_slope": 0.3}
        return functional.affine_act_conv2d(y, self.last.weight, self.last.bias, **act).output.flatten()


def test_values_where_the_slope_is_known():
    d = Linear()
    norm = d.w.norm()
    x = IMAGES.clone().requires_grad_()
    assert torch.allclose(penalties.r1_penalty(d(x), x, 3.0), 1.5 * norm**2)
    assert torch.allclose(penalties.r2_penalty(d(x), x, 1.0), 0.5 * norm**2)
    mix = torch.rand(4, dtype=torch.float64)
    assert torch.allclose(penalties.gradient_penalty(d, IMAGES, -IMAGES, mix=mix), 10 * (norm - 1) ** 2)
    (grad,) = torch.autograd.grad(penalties.r1_penalty(d(x), x, 3.0), d.w)
    assert torch.allclose(grad, 3 * d.w.detach())


def test_the_mixed_images_lie_between():
    seen = []
    mix = torch.tensor([0.0, 1.0, 0.25, 0.5], dtype=torch.float64)
    penalties.gradient_penalty(lambda x: (seen.append(x), x.square().flatten(1).sum(1))[1], IMAGES, 0 * IMAGES, mix=mix)
    assert torch.allclose(seen[0].detach(), mix[:, None, None, None] * IMAGES)


def by_hand(d, x, gamma):
    (slope,) = torch.autograd.grad(d(x).sum(), x, create_graph=True)
    return gamma / 2 * slope.pow(2).sum((1, 2, 3)).mean()


def test_parameter_gradients_through_the_chain_operators_equal_stock_torch():
    stock = Stock()
    x = IMAGES.clone().requires_grad_()
    weights = [stock.main[0].weight, stock.main[2].weight]
    expected = torch.autograd.grad(by_hand(stock, x, 2.0), weights)
    chained = Chained(stock)
    ours = torch.autograd.grad(penalties.r1_penalty(chained(x), x, 2.0), weights)
    for a, b in zip(ours, expected, strict=True):
        assert b.abs().max() > 1e-6
        assert torch.allclose(a, b, rtol=1e-10)


def test_a_training_step_of_our_discriminator():
    d = Discriminator((8, 8), 3, width=4)
    x = IMAGES.float().requires_grad_()
    penalties.r1_penalty(d(x), x).backward()
    assert d.main[0].weight.grad.abs().max() > 0


def test_half_precision_slopes_are_squared_wide():
    d = Linear().to(torch.float16)
    d.w.data.fill_(300.0)
    x = IMAGES.half().requires_grad_()
    assert torch.isclose(penalties.r1_penalty(d(x), x, 2.0), torch.tensor(192 * 300.0**2))


def test_autocast_leaves_the_penalty_wide():
    d = Discriminator((8, 8), 3, width=4)
    x = IMAGES.float().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        penalty = penalties.r1_penalty(d(x), x)
    assert penalty.dtype == torch.float32
    assert torch.allclose(penalty, penalties.r1_penalty(d(x), x), rtol=0.1)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: penalties.r1_penalty(IMAGES.sum((1, 2, 3)), IMAGES), "must require gradients"),
        (lambda: penalties.r2_penalty(torch.zeros(4, requires_grad=True), IMAGES.clone().requires_grad_()), "depend"),
        (lambda: penalties.gradient_penalty(Linear(), IMAGES, IMAGES[:2], mix=torch.rand(4)), "shape of real"),
        (lambda: penalties.gradient_penalty(Linear(), IMAGES, IMAGES, mix=torch.rand(3)), "mix must be"),
    ],
)
def test_misuse_is_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)
