"""batch_norm_affine: the two vectors of a batch norm, as a composition and as an operator."""

import pytest
import torch
from torch.library import opcheck

from fastgan import backends
from fastgan.ops.batch_norm_affine import batch_norm_affine
from fastgan.reference import batch_norm_affine as reference

EPS = 1e-3
call = torch.ops.fastgan.batch_norm_affine


def drawn(rows, affine, dtype=torch.float64, channels=5):
    generator = torch.Generator().manual_seed(rows)
    shape = (rows, channels) if rows else (channels,)
    mean, var = (torch.randn(channels, generator=generator, dtype=dtype) for _ in range(2))
    weight, bias = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
    weight, bias = weight if "w" in affine else None, bias if "b" in affine else None
    return [
        each if each is None else each.requires_grad_() for each in (mean, var.square().add(0.1).detach(), weight, bias)
    ]


SHAPES = [
    pytest.param(rows, affine, id=f"{f'{rows}rows' if rows else 'C'}-{affine or 'none'}")
    for rows in (0, 1, 4)
    for affine in ("wb", "w", "b", "")
    if rows == 0 or affine
]


@pytest.mark.parametrize(("rows", "affine"), SHAPES)
def test_scale_and_shift_are_those_of_batch_norm(rows, affine):
    mean, var, weight, bias = drawn(rows, affine)
    x = torch.randn(4, 5, 3, 2, dtype=torch.float64)
    ones, zeros = torch.ones(4, 5), torch.zeros(4, 5)
    w, b = (each if each is None else each.expand(4, 5) for each in (weight, bias))
    normal = torch.nn.functional.batch_norm(x, mean.detach(), var.detach(), eps=EPS)
    expected = normal * (ones if w is None else w)[..., None, None] + (zeros if b is None else b)[..., None, None]
    for one in (
        lambda: call(mean, var, weight, bias, EPS, 0),
        lambda: batch_norm_affine(mean, var, weight, bias, EPS, 0),
    ):
        scale, shift, same = one()
        got = x * scale[..., None, None] + shift[..., None, None]
        torch.testing.assert_close(got, expected.expand_as(got), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(same, var, rtol=0, atol=0)


def test_the_unbiased_variance_is_that_of_so_many_numbers():
    x = torch.randn(7, 5, dtype=torch.float64)
    mean, var = x.mean(0), x.var(0, correction=0)
    for one in (call, batch_norm_affine):
        unbiased = one(mean, var.requires_grad_(), None, None, EPS, 7)[2]
        torch.testing.assert_close(unbiased, x.var(0), rtol=1e-12, atol=0)
        assert not unbiased.requires_grad


@pytest.mark.parametrize(("rows", "affine"), SHAPES)
def test_gradients_of_first_and_second_order(rows, affine):
    tensors = drawn(rows, affine)
    given = [each for each in tensors if each is not None]

    def vectors(*given):
        left = list(given)
        mean, var, weight, bias = (each if each is None else left.pop(0) for each in tensors)
        return call(mean, var, weight, bias, EPS, 9)[:2]

    assert torch.autograd.gradcheck(vectors, given)
    assert torch.autograd.gradgradcheck(vectors, given)


@pytest.mark.parametrize("alone", [0, 1], ids=["scale", "shift"])
def test_one_of_the_vectors_alone(alone):
    tensors = drawn(4, "wb")
    got = torch.autograd.grad(call(*tensors, EPS, 9)[alone].square().sum(), tensors)
    expected = torch.autograd.grad(
        reference.batch_norm_affine(*tensors, EPS)[alone].square().sum(), tensors, allow_unused=True
    )
    for ours, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(ours, torch.zeros_like(ours) if theirs is None else theirs, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("rows", "affine"), SHAPES)
def test_opcheck(rows, affine):
    opcheck(call, (*drawn(rows, affine, torch.float32), EPS, 9))


def test_parameters_keep_their_dtype_and_shape():
    mean, var, weight, bias = drawn(0, "wb", torch.float32)
    weight, bias = (each.detach().to(torch.bfloat16).requires_grad_() for each in (weight, bias))
    scale, shift, _ = call(mean, var, weight, bias, EPS, 9)
    assert scale.dtype == shift.dtype == torch.float32
    grads = torch.autograd.grad((scale + shift).sum(), (weight, bias))
    assert [(g.dtype, g.shape) for g in grads] == [(torch.bfloat16, (5,))] * 2


def test_a_cpu_keeps_to_the_composition():
    tensors = drawn(0, "wb", torch.float32)
    with backends.record() as runs:
        for backend in ("auto", "reference"):
            with backends.use_backend(backend):
                batch_norm_affine(*tensors, EPS, 9)
    assert runs == []
