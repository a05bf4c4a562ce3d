"""gan_loss, the definition: losses of GANs on logits, their gradients and second derivatives, in stock torch.

Each family is made of terms, functions of one number with a known slope and curvature. With N reals, M fakes:

1. d_loss = mean of d_real(real_i) + mean of d_fake(fake_j);  g_loss = mean of g_fake(fake_j);
2. rpgan pairs by index instead, u_i = real_i - fake_i:  d_loss = mean of d(u_i), g_loss = mean of g(u_i).

Logits of float16 and bfloat16 are widened to float32 first; float64 stays. Everything here is a composition
of differentiable torch operations, so derivatives of any order are exact.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Term(NamedTuple):
    """A function of one number, applied elementwise, with its first and second derivative."""

    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]
    curvature: Callable[[Tensor], Tensor]


def _sigmoid_slope(x: Tensor) -> Tensor:
    return torch.sigmoid(x) * torch.sigmoid(-x)


# softplus by logsigmoid: F.softplus turns linear above 20, which float64 notices.
_SOFTPLUS = Term(lambda x: -F.logsigmoid(-x), torch.sigmoid, _sigmoid_slope)
_SOFTPLUS_OF_MINUS = Term(lambda x: -F.logsigmoid(x), lambda x: -torch.sigmoid(-x), _sigmoid_slope)
# The slopes compare with <=, as torch's relu does, so that NaN is told apart in the same way.
_HINGE_ABOVE_MINUS_ONE = Term(lambda x: F.relu(1 + x), lambda x: (~(1 + x <= 0)).to(x.dtype), torch.zeros_like)
_HINGE_BELOW_ONE = Term(lambda x: F.relu(1 - x), lambda x: -(~(1 - x <= 0)).to(x.dtype), torch.zeros_like)
_LINEAR = Term(lambda x: x, torch.ones_like, torch.zeros_like)
_MINUS = Term(lambda x: -x, lambda x: -torch.ones_like(x), torch.zeros_like)
_SQUARE_TO_ZERO = Term(lambda x: 0.5 * x * x, lambda x: x, torch.ones_like)
_SQUARE_TO_ONE = Term(lambda x: 0.5 * (x - 1) * (x - 1), lambda x: x - 1, torch.ones_like)


class Family(NamedTuple):
    """The terms of a family; of a paired one, `d_fake` and `g_fake` are functions of real - fake."""

    d_real: Term | None
    d_fake: Term
    g_fake: Term


_FAMILIES = {
    "non_saturating": Family(_SOFTPLUS_OF_MINUS, _SOFTPLUS, _SOFTPLUS_OF_MINUS),
    "hinge": Family(_HINGE_BELOW_ONE, _HINGE_ABOVE_MINUS_ONE, _MINUS),
    "least_squares": Family(_SQUARE_TO_ONE, _SQUARE_TO_ZERO, _SQUARE_TO_ONE),
    "wasserstein": Family(_MINUS, _LINEAR, _MINUS),
    "rpgan": Family(None, _SOFTPLUS_OF_MINUS, _SOFTPLUS),
}
FAMILIES = tuple(_FAMILIES)  # the position is the number that C++ and Triton know a family by
PAIRED = frozenset({"rpgan"})


class Gradients(NamedTuple):
    """Derivatives of both losses by the logits, in their shapes; None where a loss does not depend on one."""

    d_real: Tensor | None
    d_fake: Tensor
    g_real: Tensor | None
    g_fake: Tensor


def discriminator_loss(real_logits: Tensor | None, fake_logits: Tensor, family: str) -> Tensor:
    """d_loss, a scalar in the compute dtype; without reals its real half is left out."""
    terms, fake = _FAMILIES[family], _widen(fake_logits)
    if family in PAIRED:
        return terms.d_fake.value(_pairs(_widen(real_logits), fake)).mean()
    fake_half = terms.d_fake.value(fake).mean()
    return fake_half if real_logits is None else terms.d_real.value(_widen(real_logits)).mean() + fake_half


def generator_loss(real_logits: Tensor | None, fake_logits: Tensor, family: str) -> Tensor:
    """g_loss, a scalar in the compute dtype; only a paired family looks at the reals."""
    terms, fake = _FAMILIES[family], _widen(fake_logits)
    if family in PAIRED:
        return terms.g_fake.value(_pairs(_widen(real_logits), fake)).mean()
    return terms.g_fake.value(fake).mean()


def statistics(real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
    """[4], detached: mean of reals, mean of fakes, share of reals > 0, of fakes > 0; zeros without reals."""
    fake = _widen(fake_logits.detach())
    real = fake.new_zeros(1) if real_logits is None else _widen(real_logits.detach())
    means = [x.mean() for x in (real, fake)]
    return torch.stack([*means, *((x > 0).to(x.dtype).mean() for x in (real, fake))])


def gradients(real_logits: Tensor | None, fake_logits: Tensor, family: str) -> Gradients:
    """First derivatives of d_loss and g_loss by the logits, in the compute dtype."""
    terms, fake = _FAMILIES[family], _widen(fake_logits)
    if family in PAIRED:
        u = _pairs(_widen(real_logits), fake)
        d_slope, g_slope = terms.d_fake.slope(u) / u.numel(), terms.g_fake.slope(u) / u.numel()
        shape_real, shape_fake = real_logits.shape, fake_logits.shape
        return Gradients(
            d_slope.view(shape_real),
            -d_slope.view(shape_fake),
            g_slope.view(shape_real),
            -g_slope.view(shape_fake),
        )
    real = None if real_logits is None else _widen(real_logits)
    d_real = None if real is None else terms.d_real.slope(real) / real.numel()
    return Gradients(d_real, terms.d_fake.slope(fake) / fake.numel(), None, terms.g_fake.slope(fake) / fake.numel())


def scale_gradients(
    grad_d_loss: Tensor | None,
    grad_g_loss: Tensor | None,
    by_d: Tensor | None,
    by_g: Tensor | None,
    logits: Tensor,
) -> Tensor:
    """grad_d_loss * by_d + grad_g_loss * by_g, absent products left out, rounded once to `logits.dtype`."""
    total = None
    for upstream, gradient in ((grad_d_loss, by_d), (grad_g_loss, by_g)):
        if upstream is not None and gradient is not None:
            product = upstream * gradient
            total = product if total is None else total + product
    return torch.zeros_like(logits) if total is None else total.to(logits.dtype)


def double_backward(
    grad_d_loss: Tensor | None,
    grad_g_loss: Tensor | None,
    real_logits: Tensor | None,
    fake_logits: Tensor,
    v_real: Tensor | None,
    v_fake: Tensor | None,
    family: str,
) -> tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]:
    """The vector-Jacobian product of the backward pass, itself differentiable to any order.

    The backward pass maps (grad_d_loss, grad_g_loss, real, fake) to (grad_real, grad_fake); v_real and
    v_fake are the gradients that come in for its two results, None for zero. Returns the gradients for its
    four inputs.
    """
    first = gradients(real_logits, fake_logits, family)
    to_d = _inner(v_real, first.d_real, v_fake, first.d_fake) if grad_d_loss is not None else None
    to_g = _inner(v_real, first.g_real, v_fake, first.g_fake) if grad_g_loss is not None else None
    terms, fake = _FAMILIES[family], _widen(fake_logits)
    if family in PAIRED:
        u = _pairs(_widen(real_logits), fake)
        v = _flat(v_real, u) - _flat(v_fake, u)
        by_pair = v * _curvature(u, grad_d_loss, terms.d_fake, grad_g_loss, terms.g_fake)
        to_real, to_fake = by_pair.view(real_logits.shape), -by_pair.view(fake_logits.shape)
    else:
        to_fake = (
            None if v_fake is None else v_fake * _curvature(fake, grad_d_loss, terms.d_fake, grad_g_loss, terms.g_fake)
        )
        to_real = None
        if v_real is not None and real_logits is not None:
            to_real = v_real * _curvature(_widen(real_logits), grad_d_loss, terms.d_real, None, None)
    return to_d, to_g, _narrow(to_real, real_logits), _narrow(to_fake, fake_logits)


def _curvature(x: Tensor, grad_d: Tensor | None, d: Term, grad_g: Tensor | None, g: Term | None) -> Tensor:
    total = torch.zeros_like(x)
    for upstream, term in ((grad_d, d), (grad_g, g)):
        if upstream is not None and term is not None:
            total = total + upstream * term.curvature(x)
    return total / x.numel()


def _inner(v_real: Tensor | None, by_real: Tensor | None, v_fake: Tensor | None, by_fake: Tensor) -> Tensor:
    total = by_fake.new_zeros(())
    for v, gradient in ((v_real, by_real), (v_fake, by_fake)):
        if v is not None and gradient is not None:
            total = total + (v * gradient).sum()
    return total


def _flat(v: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if v is None else v.reshape(-1).to(like.dtype)


def _pairs(real: Tensor, fake: Tensor) -> Tensor:
    return real.reshape(-1) - fake.reshape(-1)


def _widen(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _narrow(x: Tensor | None, logits: Tensor | None) -> Tensor | None:
    return None if x is None or logits is None else x.to(logits.dtype)
