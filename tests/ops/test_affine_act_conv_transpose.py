"""affine_act_conv_transpose2d: what only the transposed convolution has: output padding, and outputs without a tap."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.chain_cases import make_case, plain
from torch.autograd import gradcheck, gradgradcheck

from fastgan.ops.affine_act_conv2d import affine_act_conv2d
from fastgan.ops.affine_act_conv_transpose2d import affine_act_conv_transpose2d


@pytest.mark.parametrize("output_padding", [(0, 0), (1, 0), (2, 1)])
def test_derivatives_with_output_padding(output_padding):
    options = {"stride": (3, 2), "padding": (1, 0), "channels": (2, 2), "size": (2, 2)}
    case = make_case("conv_transpose2d", "per_sample", output_padding=output_padding, **options)

    def function(*given):
        return case.run(*case.filled(given))

    for ours, expected in zip(case.run(), plain(case), strict=True):
        torch.testing.assert_close(ours, expected)
    assert gradcheck(function, tuple(case.differentiable()), fast_mode=True)
    assert gradgradcheck(function, tuple(case.differentiable()), fast_mode=True)


def test_an_output_without_a_tap_is_the_bias_and_counts_in_the_statistics():
    """Stride 3, kernel 1: of 3 x 3 outputs one has a tap."""
    x, w, bias = torch.full((1, 1, 1, 1), 2.0), torch.ones(1, 1, 1, 1), torch.tensor([5.0])
    y, mean, var = affine_act_conv_transpose2d(x, w, bias, None, None, "none", 1.0, 3, 0, 2)
    assert torch.equal(y[0, 0], torch.tensor([[7.0, 5, 5], [5, 5, 5], [5, 5, 5]]))
    torch.testing.assert_close(mean, torch.tensor([2 / 9]))
    torch.testing.assert_close(var, torch.tensor([4 / 9 - 4 / 81]))


def test_the_shift_does_not_leak_between_the_pixels_that_a_stride_spreads():
    """The zeros between and around the pixels are zeros after the shift too."""
    x, w = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    y = affine_act_conv_transpose2d(x, w, None, None, torch.full((1, 1), 3.0), "relu", 0.0, 3, 0, 0)[0]
    row = torch.tensor([3.0, 3, 0, 3, 3])
    assert torch.equal(y[0, 0], torch.outer(row, row) / 3)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    size=st.tuples(st.integers(4, 9), st.integers(4, 9)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 1), st.integers(0, 1)),
)
def test_it_is_the_transpose_of_the_convolution(size, kernel, stride, padding):
    """<conv2d(x), y> = <x, conv_transpose2d(y)> with the same weight, for every size that a stride leaves over."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    x, w = normal(2, 3, *size), normal(4, 3, *kernel)
    bare = (None, None, None, "none", 1.0, stride, padding)
    there = affine_act_conv2d(x, w, *bare)[0]
    y = normal(*there.shape)
    left = [(n + 2 * p - k) % s for n, k, s, p in zip(size, kernel, stride, padding, strict=True)]
    back = affine_act_conv_transpose2d(y, w, *bare, left)[0]
    assert back.shape == x.shape
    torch.testing.assert_close((there * y).sum(), (x * back).sum())


@pytest.mark.parametrize("output_padding", [2, (0, 2)])
def test_output_padding_must_be_smaller_than_the_stride(output_padding):
    with pytest.raises(ValueError, match=r"output_padding must be smaller than stride \[2, 2\], got"):
        affine_act_conv_transpose2d(
            torch.zeros(1, 2, 3, 3),
            torch.zeros(2, 2, 3, 3),
            None,
            None,
            None,
            "none",
            1.0,
            2,
            1,
            output_padding,
        )


def test_a_padding_that_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match=r"large enough for an output of 1 x 1, got \[1, 2, 1, 1\], which gives"):
        affine_act_conv_transpose2d(
            torch.zeros(1, 2, 1, 1), torch.zeros(2, 2, 2, 2), None, None, None, "none", 1.0, 1, 1, 0
        )
