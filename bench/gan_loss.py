"""gan_loss: our CPU operator against what people write by hand in stock torch, forward and backward."""

from collections.abc import Callable
from typing import Any

import torch
from fastgan.bench import gate
from fastgan.bench.cases import Case
from fastgan.bench.engines import OURS
from fastgan.bench.options import Options
from fastgan.bench.race import Record, Say, records_of
from fastgan.bench.timing import interleaved
from fastgan.bench.worker import block
from torch import Tensor
from torch.nn import functional as F

from fastgan import backends, losses, native

BATCHES = (64, 1024, 8192, 65536)
EAGER_NAME = "stock torch"
_SECONDS = 0.05  # calls of microseconds

Loss = Callable[[Tensor, Tensor], Tensor]


def _ones_or_zeros(logits: Tensor, value: float) -> Tensor:
    return torch.full_like(logits, value)


def _bce(real: Tensor, fake: Tensor) -> Tensor:
    bce = F.binary_cross_entropy_with_logits
    return bce(real, _ones_or_zeros(real, 1.0)) + bce(fake, _ones_or_zeros(fake, 0.0))


def _hinge(real: Tensor, fake: Tensor) -> Tensor:
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


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


class Call:
    """A function that is timed in this process."""

    def __init__(self, call: Callable[[], Any]):
        self.call = call

    def time(self, discard: int, seconds: float) -> float:
        calls, taken = block(self.call, discard, seconds)
        return taken / calls


def run(options: Options, rounds: int, machine: dict[str, Any], records: list[Record], say: Say) -> None:
    """Records by pass, family and batch, on one thread: these are small.

    Pass `whole` is what a trainer with a monitor needs: both losses, the four statistics, and the gradients of
    d_loss; `d_loss` is that loss and its gradients alone.
    """
    if native.ops_missing():
        return
    batches = (options.batch,) if options.batch else BATCHES
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with backends.use_backend("cpu"):
            for which in PASSES:
                for family in EAGER:
                    say(f"ops, gan_loss {family}, {which}")
                    for batch in batches:
                        records += _case(which, family, batch, rounds, min(options.seconds, _SECONDS), machine)
    finally:
        torch.set_num_threads(before)


def calls(which: str, family: str, batch: int) -> dict[str, Callable[[], tuple[Tensor, ...]]]:
    """Ours and the one by hand, on the same logits."""
    generator = torch.Generator().manual_seed(batch)
    real, fake = (torch.randn(batch, 1, generator=generator).mul(2).requires_grad_() for _ in range(2))

    def eager(real: Tensor = real, fake: Tensor = fake) -> tuple[Tensor, ...]:
        d_loss = EAGER[family][0](real, fake)
        beside = ()
        if which == "whole":
            r, f = real.detach(), fake.detach()
            rates = ((x > 0).to(x.dtype).mean() for x in (r, f))
            beside = (EAGER[family][1](real, fake), r.mean(), f.mean(), *rates)
        return d_loss, *beside, *torch.autograd.grad(d_loss, (real, fake))

    def ours() -> tuple[Tensor, ...]:
        beside = ()
        if which == "whole":
            d_loss, g_loss, statistics = losses.gan_loss(real, fake, family=family)
            beside = (g_loss, *statistics)
        else:
            d_loss = losses.discriminator_loss(real, fake, family=family)
        return d_loss, *beside, *torch.autograd.grad(d_loss, (real, fake))

    def truth() -> tuple[Tensor, ...]:
        return eager(*(x.detach().double().requires_grad_() for x in (real, fake)))

    return {OURS: ours, EAGER_NAME: eager, "truth": truth}


def _case(which: str, family: str, batch: int, rounds: int, seconds: float, machine: dict) -> list[Record]:
    candidates = calls(which, family, batch)
    truth = _named(candidates.pop("truth")())
    verdicts = {name: gate.judge(_named(call()), truth) for name, call in candidates.items()}
    timed = {name: Call(call) for name, call in candidates.items() if not verdicts[name].complaint}
    taken = interleaved(timed, rounds, seconds)
    case = Case("ops", f"gan_loss {family}, {which}", batch, "", {}, {}, {}, 0, lambda case: {})
    return records_of(case, "passive", taken, verdicts, machine)


def _named(results: tuple[Tensor, ...]) -> dict[str, Any]:
    return {f"result {i}": result.detach().numpy() for i, result in enumerate(results)}
