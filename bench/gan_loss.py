"""gan_loss: our CPU operator against what people write by hand in stock torch, forward and backward."""

from collections.abc import Callable
from typing import Any

import torch
from fastgan.bench.measure import interleaved, summary
from torch import Tensor
from torch.nn import functional as F

from fastgan import backends, losses

BATCHES = (64, 1024, 8192, 65536)

Loss = Callable[[Tensor, Tensor], Tensor]


def _ones_or_zeros(logits: Tensor, value: float) -> Tensor:
    return torch.full_like(logits, value)


def _bce(real: Tensor, fake: Tensor) -> Tensor:
    bce = F.binary_cross_entropy_with_logits
    return bce(real, _ones_or_zeros(real, 1.0)) + bce(fake, _ones_or_zeros(fake, 0.0))


def _hinge(real: Tensor, fake: Tensor) -> Tensor:
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def _rpgan(real: Tensor, fake: Tensor) -> Tensor:
    return F.softplus(fake - real).mean()


# What people write by hand, for the discriminator and for the generator.
EAGER: dict[str, tuple[Loss, Loss]] = {
    "non_saturating": (_bce, lambda real, fake: F.softplus(-fake).mean()),
    "hinge": (_hinge, lambda real, fake: -fake.mean()),
    "rpgan": (
        lambda real, fake: F.softplus(fake - real).mean(),
        lambda real, fake: F.softplus(real - fake).mean(),
    ),
}
PASSES = ("whole", "d_loss")


def run(rounds: int = 15) -> list[dict[str, Any]]:
    """One record per pass, family and batch: ms of both, their ratio, and the largest relative error of ours.

    Pass `whole` is what a trainer with a monitor needs: both losses, the four statistics, and the gradients of
    d_loss; `d_loss` is that loss and its gradients alone.
    """
    cases = ((which, family, batch) for which in PASSES for family in EAGER for batch in BATCHES)
    return [_case(*case, rounds) for case in cases]


def _case(which: str, family: str, batch: int, rounds: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(batch)
    real, fake = (torch.randn(batch, 1, generator=generator).mul(2).requires_grad_() for _ in range(2))
    eager_d, eager_g = EAGER[family]

    def eager() -> tuple[Tensor, ...]:
        d_loss = eager_d(real, fake)
        beside = ()
        if which == "whole":
            r, f = real.detach(), fake.detach()
            rates = ((x > 0).float().mean() for x in (r, f))
            beside = (eager_g(real, fake), r.mean(), f.mean(), *rates)
        return d_loss, *beside, *torch.autograd.grad(d_loss, (real, fake))

    def ours() -> tuple[Tensor, ...]:
        beside = ()
        if which == "whole":
            d_loss, g_loss, statistics = losses.gan_loss(real, fake, family=family)
            beside = (g_loss, *statistics)
        else:
            d_loss = losses.discriminator_loss(real, fake, family=family)
        return d_loss, *beside, *torch.autograd.grad(d_loss, (real, fake))

    with backends.use_backend("cpu"):
        error = _gate(ours(), eager(), family, batch)
        repeats = max(5, min(200, 1_000_000 // batch))
        seconds = interleaved({"eager": eager, "ours": ours}, rounds, repeats)
    ms = {name: summary(values) for name, values in seconds.items()}
    record = {"op": "gan_loss", "pass": which, "family": family, "shape": [batch, 1], "dtype": "float32"}
    return {**record, "ms": ms, "speedup": ms["eager"]["p50"] / ms["ours"]["p50"], "max_rel_err": error}


def _gate(ours: tuple[Tensor, ...], expected: tuple[Tensor, ...], family: str, batch: int) -> float:
    """Largest relative error by maximum; AssertionError when it is more than rounding."""
    worst = max(((a - b).abs().max() / b.abs().max()).item() for a, b in zip(ours, expected, strict=True))
    if not worst <= 1e-5:
        raise AssertionError(f"gan_loss {family} at batch {batch} is wrong by {worst:.1e}: not timed")
    return worst
