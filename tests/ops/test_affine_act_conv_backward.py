"""The gradient operators of the two chain operators, as operators of their own: values, derivatives, schema."""

import pytest
import torch
from support.chain_cases import OVERLOADS, make_case, upstream
from torch.autograd import gradcheck, gradgradcheck

NAMES = ("grad_output", "grad_mean", "grad_var", "input", "weight", "bias", "scale", "shift", "output", "mean")
ALL = [True] * 5

pytestmark = pytest.mark.usefixtures("each_cpu_backend")
kinds = pytest.mark.parametrize("kind", list(OVERLOADS))


def arguments_of(kind, needed=ALL, **options):
    """All arguments of the backward operator: independent random tensors, as its derivatives take them to be."""
    case = make_case(kind, channels=(2, 2), size=(3, 2), **options)
    y, mean, var = (result.detach() for result in case.run())
    grads = [upstream(y, "dense", 1), *(upstream(v[None, :, None, None], "dense", 2).view(-1) for v in (mean, var))]
    tensors = [*grads, *case.tensors, y, mean]
    tensors = [None if each is None else each.detach().clone().requires_grad_() for each in tensors]
    activation, slope, stride, padding, *_ = case.options
    sizes = (case.tensors[0].shape[2:], y.shape[2:], case.tensors[1].shape[2:])
    return tensors, (activation, slope, stride, padding, *map(list, sizes), needed)


def operator(kind):
    return getattr(torch.ops.fastgan, f"affine_act_{kind}_backward").default


@kinds
@pytest.mark.parametrize("activation", ["leaky_relu", "relu", "none"])
@pytest.mark.parametrize("rows", ["bare", "per_channel", "per_sample"])
def test_derivatives_by_every_tensor(kind, rows, activation):
    tensors, options = arguments_of(kind, rows=rows, activation=activation)
    options = (*options[:-1], [True, True, True, tensors[6] is not None, tensors[7] is not None])
    given = [each for each in tensors if each is not None]

    def function(*values):
        values = iter(values)
        filled = [None if each is None else next(values) for each in tensors]
        return tuple(each for each in operator(kind)(*filled, *options) if each.numel())

    assert gradcheck(function, given)
    assert gradgradcheck(function, given, fast_mode=True)


@kinds
@pytest.mark.parametrize("only", range(5))
def test_one_gradient_at_a_time(kind, only):
    """Each alone is the one of all together, the others are empty; and so are its derivatives."""
    tensors, options = arguments_of(kind)
    needed = [index == only for index in range(5)]
    together = operator(kind)(*tensors, *options)[only]
    alone = operator(kind)(*tensors, *options[:-1], needed)
    assert [each.numel() > 0 for each in alone] == needed
    torch.testing.assert_close(alone[only], together, rtol=0, atol=0)
    up = torch.randn_like(together)
    derivatives = [
        torch.autograd.grad(each, tensors, up, allow_unused=True, materialize_grads=True)
        for each in (together, alone[only])
    ]
    for one, other in zip(*derivatives, strict=True):
        torch.testing.assert_close(one, other)


@kinds
@pytest.mark.parametrize("rows", ["bare", "per_sample"])
def test_opcheck(kind, rows):
    tensors, options = arguments_of(kind, rows=rows)
    options = (*options[:-1], [True, True, True, tensors[6] is not None, tensors[7] is not None])
    torch.library.opcheck(operator(kind), (*tensors, *options))
