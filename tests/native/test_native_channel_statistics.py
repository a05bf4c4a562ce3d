"""The native passes channel_statistics and its gradient against their definitions."""

import itertools

import pytest
import torch
from native_cases import DTYPES, as_double, assert_right, dtype_name

from fastgan.reference import channel_statistics as reference
from fastgan.reference.affine_act import widened

SHAPES = [(2, 3, 5, 7), (3, 17, 4, 4), (2, 40, 1, 1), (2, 5, 150, 130), (1, 1200, 2, 2), (2, 1, 9, 9), (33, 16, 4, 4)]
dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=dtype_name)
shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
layouts = pytest.mark.parametrize("channels_last", [False, True], ids=["nchw", "channels_last"])


def make(shape, dtype, channels_last=False):
    """output, bias, grad_output, grad_mean, grad_var"""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape, to=dtype):
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(to)

    wide = widened(dtype)
    maps = normal(*shape), normal(*shape)
    if channels_last:
        maps = [m.contiguous(memory_format=torch.channels_last) for m in maps]
    vectors = normal(shape[1], to=wide), normal(shape[1], to=wide)
    return maps[0], normal(shape[1]), maps[1], *vectors


@layouts
@shapes
@dtypes
def test_statistics(dtype, shape, channels_last, leaf):
    output, bias, *_ = make(shape, dtype, channels_last)
    for b in (None, bias):
        stock = reference.channel_statistics(output, b)
        exact = reference.channel_statistics(output.double(), as_double(b))
        for ours, theirs, right in zip(leaf.channel_statistics(output, b), stock, exact, strict=True):
            assert_right(ours, theirs, right)


@layouts
def test_statistics_far_from_zero(channels_last, leaf):
    """mean / std = 1e4: single-precision sums of squares would have no digit left."""
    output, *_ = make((4, 17, 20, 20), torch.float32, channels_last)
    output = output + 1e4
    exact = reference.channel_statistics(output.double(), None)
    ours = leaf.channel_statistics(output, None)
    torch.testing.assert_close([t.double() for t in ours], list(exact), rtol=1e-6, atol=0)


def test_an_empty_batch_has_no_statistics(leaf):
    mean, var = leaf.channel_statistics(torch.zeros(0, 3, 2, 2), None)
    assert mean.isnan().all() and var.isnan().all() and mean.shape == var.shape == (3,)


def test_non_finite_values_stay_in_their_channel(leaf):
    output = torch.randn(2, 5, 4, 4, generator=torch.Generator().manual_seed(0))
    output[0, 1, 2, 3], output[1, 3, 0, 0] = float("inf"), float("nan")
    for ours in leaf.channel_statistics(output.contiguous(memory_format=torch.channels_last), None):
        assert ours.isfinite().tolist() == [True, False, True, False, True]


@layouts
@shapes
@dtypes
def test_gradient(dtype, shape, channels_last, leaf):
    output, bias, *gradients = make(shape, dtype, channels_last)
    mean, _ = reference.channel_statistics(output, bias)
    for wanted in itertools.product([False, True], repeat=3):
        if not any(wanted):
            continue
        given = [g if want else None for g, want in zip(gradients, wanted, strict=True)]
        ours = leaf.channel_statistics_backward(*given, output, mean, bias)
        stock = reference.channel_statistics_backward(*given, output, mean, bias)
        doubles = [as_double(t) for t in (*given, output, mean, bias)]
        assert_right(ours, stock, reference.channel_statistics_backward(*doubles))
        assert ours.stride() == output.stride()


def test_gradient_in_other_layouts(leaf):
    output, bias, grad, by_mean, by_var = make((3, 6, 5, 4), torch.float32, channels_last=True)
    mean, _ = leaf.channel_statistics(output, bias)
    straight = leaf.channel_statistics_backward(grad, by_mean, by_var, output, mean, bias)
    contiguous = leaf.channel_statistics_backward(grad.contiguous(), by_mean, by_var, output, mean, bias)
    assert torch.equal(contiguous, straight)
    expanded = grad[:1, :, :1, :1].expand(grad.shape)
    by_hand = leaf.channel_statistics_backward(expanded.contiguous(), by_mean, by_var, output, mean, bias)
    assert torch.equal(leaf.channel_statistics_backward(expanded, by_mean, by_var, output, mean, bias), by_hand)


@layouts
def test_bits_do_not_depend_on_threads(channels_last, leaf):
    output, bias, grad, by_mean, by_var = make((9, 24, 40, 40), torch.float32, channels_last)
    runs = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        mean, var = leaf.channel_statistics(output, bias)
        runs.append((mean, var, leaf.channel_statistics_backward(grad, by_mean, by_var, output, mean, bias)))
    for run in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(run, runs[0], strict=True))


def test_memory_is_not_trusted(leaf):
    output, bias, grad, by_mean, by_var = make((2, 5, 4, 4), torch.float32)
    mean, _ = leaf.channel_statistics(output, bias)
    with pytest.raises(RuntimeError, match="bias must be"):
        leaf.channel_statistics(output, bias[:3])
    with pytest.raises(RuntimeError, match="grad_var needs output and mean"):
        leaf.channel_statistics_backward(grad, None, by_var, None, mean, None)
    with pytest.raises(RuntimeError, match="mean has the wrong dtype"):
        leaf.channel_statistics_backward(grad, by_mean, by_var, output, mean.double(), None)
