"""gan_loss: our operator against what people write by hand in stock torch, forward and backward, in float32."""

from collections.abc import Callable
from typing import Any

import torch
from fastgan.bench import gate
from fastgan.bench.cases import Case
from fastgan.bench.engines import OURS, on_cuda
from fastgan.bench.options import Options
from fastgan.bench.place import fetched
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
    """A function that is timed in this process, with fastgan's backend of that name forced."""

    def __init__(self, call: Callable[[], Any], device: str, backend: str):
        self.call, self.backend = call, backend
        self.waits = [torch.cuda.synchronize] if device == "cuda" else []

    def time(self, discard: int, seconds: float) -> float:
        with backends.use_backend(self.backend):
            calls, taken = block(self.call, discard, seconds, *self.waits)
        return taken / calls

    def results(self) -> dict[str, Any]:
        with backends.use_backend(self.backend):
            return _named(self.call())


def run(options: Options, rounds: int, machine: dict[str, Any], records: list[Record], say: Say) -> None:
    """Records by pass, family and batch, on one thread: these are small.

    Pass `whole` is what a trainer with a monitor needs: both losses, the four statistics, and the gradients of
    d_loss; `d_loss` is that loss and its gradients alone.
    """
    if options.device == "cpu" and native.ops_missing():
        return
    batches = (options.batch,) if options.batch else BATCHES
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for which in PASSES:
            for family in EAGER:
                say(f"ops, gan_loss {family}, {which}")
                for batch in batches:
                    seconds = min(options.seconds, _SECONDS)
                    records += _case(which, family, batch, rounds, seconds, options.device, machine)
    finally:
        torch.set_num_threads(before)


def forced_backends(device: str) -> dict[str, str]:
    """The names that ours has in records, with the backend that each forces."""
    if device == "cpu":
        return {OURS: "cpu"}
    able = [name for name in on_cuda.FORCED if backends.why_not("gan_loss", name, device, torch.float32) is None]
    return {OURS: "auto", **{f"{OURS}-{name}": name for name in able}}


def calls(which: str, family: str, batch: int, device: str = "cpu") -> dict[str, Callable[[], tuple[Tensor, ...]]]:
    """Ours and the one by hand, on the same logits."""
    generator = torch.Generator().manual_seed(batch)
    drawn = (torch.randn(batch, 1, generator=generator).mul(2) for _ in range(2))
    real, fake = (logits.to(device).requires_grad_() for logits in drawn)

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


def _case(which: str, family: str, batch: int, rounds: int, seconds: float, device: str, machine: dict) -> list[Record]:
    made = calls(which, family, batch, device)
    truth = _named(made["truth"]())
    entrants = {name: Call(made[OURS], device, backend) for name, backend in forced_backends(device).items()}
    entrants[EAGER_NAME] = Call(made[EAGER_NAME], device, "auto")
    verdicts = {name: gate.judge(entrant.results(), truth) for name, entrant in entrants.items()}
    timed = {name: entrant for name, entrant in entrants.items() if not verdicts[name].complaint}
    taken = interleaved(timed, rounds, seconds)
    case = Case("ops", f"gan_loss {family}, {which}", batch, "", {}, {}, {}, 0, lambda case: {}, device)
    return records_of(case, "passive", taken, verdicts, machine)


def _named(results: tuple[Tensor, ...]) -> dict[str, Any]:
    return {f"result {i}": fetched(result) for i, result in enumerate(results)}
