"""A chain written with the public functions: conv, batch norm, LeakyReLU, transposed conv equal stock torch's."""

import pytest
import torch
import torch.nn.functional as F

from fastgan import functional


def test_a_chain_equals_stock_torch():
    torch.manual_seed(0)
    x = torch.randn(3, 2, 8, 8, dtype=torch.float64)
    w1 = torch.randn(4, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    w2 = torch.randn(4, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    gamma, beta = torch.rand(2, 4, dtype=torch.float64).add(0.5).unbind()

    def ours():
        y, mean, var = functional.affine_act_conv2d(x, w1, stride=2, padding=1)
        scale = gamma * torch.rsqrt(var + 1e-5)
        shift = beta - mean * scale
        act = {"activation": "leaky_relu", "negative_slope": 0.2}
        out = functional.affine_act_conv_transpose2d(y, w2, None, scale[None], shift[None], stride=2, padding=1, **act)
        return functional.affine_act(out.output, activation="tanh")

    def stock():
        y = F.batch_norm(F.conv2d(x, w1, stride=2, padding=1), None, None, gamma, beta, training=True, eps=1e-5)
        return torch.tanh(F.conv_transpose2d(F.leaky_relu(y, 0.2), w2, stride=2, padding=1))

    upstream = torch.randn(3, 3, 8, 8, dtype=torch.float64)
    assert torch.allclose(ours(), stock(), rtol=1e-12, atol=1e-12)
    for a, b in zip(
        torch.autograd.grad(ours(), (w1, w2), upstream), torch.autograd.grad(stock(), (w1, w2), upstream), strict=True
    ):
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-10)


def test_what_does_not_fit_is_one_sentence():
    with pytest.raises(ValueError, match="^affine_act_conv2d: ") as caught:
        functional.affine_act_conv2d(torch.zeros(1, 2, 4, 4), torch.zeros(3, 3, 4, 4))
    assert "\n" not in str(caught.value)


def test_statistics_are_left_out_where_nobody_asks():
    x, w = torch.randn(2, 3, 5, 5), torch.randn(3, 3, 2, 2)
    for op in (functional.affine_act_conv2d, functional.affine_act_conv_transpose2d):
        assert op(x, w, statistics=False)[1:] == (None, None)
        assert torch.equal(op(x, w, statistics=False).output, op(x, w).output)


def test_pixels_at_the_end_of_a_chain():
    x = torch.randn(2, 3, 4, 5)
    pixels = functional.affine_act_uint8(x, shift=torch.full((1, 3), 0.5))
    assert pixels.shape == (2, 4, 5, 3) and pixels.is_contiguous()
    expected = ((torch.tanh(x + 0.5) + 1) * 127.5).permute(0, 2, 3, 1)
    assert (pixels - expected).abs().max() <= 0.51
    with pytest.raises(ValueError, match=r"affine_act_uint8: input must be \[N, C, H, W\], got \[2, 3\]"):
        functional.affine_act_uint8(torch.zeros(2, 3))
