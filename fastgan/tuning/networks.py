"""Whole networks: does a model gain from running on chains, with the choices that were measured by operator?

An operator that loses is ATen's inside a chain too, but a chain of those is slower than torch's own modules. So the
question is asked again of forward and backward passes of the presets.
"""

import contextlib
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from fastgan import backends, tuned
from fastgan.models import Discriminator, Generator
from fastgan.tuned import NetworkEntry, Table
from fastgan.tuning.scope import Scope
from fastgan.tuning.timing import Contender, Timing, compare

_HALVES = {"fp16": torch.float16, "bf16": torch.bfloat16}
_FORMATS = (("NCHW", torch.contiguous_format), ("NHWC", torch.channels_last))


def measured(
    table: Table, precision: str, device: torch.device, scope: Scope, say: Callable[[str], None]
) -> tuple[list[NetworkEntry], bool]:
    """The networks at one precision, and whether chains pay: faster beyond noise in one, in none slower by 5 %."""
    candidate = replace(table, chains=(precision,))
    entries, timings = [], []
    for name, model, images in _networks(scope, device):
        say(f"{name}, {precision}")
        call = _training_pass(model, images, precision)
        timing = compare(
            Contender(call, lambda: _auto(candidate)),
            Contender(call, lambda: _auto(None)),
            device,
            scope.rounds,
            scope.seconds,
        )
        timings.append(timing)
        entries.append(NetworkEntry(name, precision, timing.ours, timing.theirs, timing.speedup, timing.least))
    return entries, pays(timings)


def pays(timings: list[Timing]) -> bool:
    """Faster beyond noise in one, in none slower by 5 %."""
    return any(each.faster for each in timings) and all(each.speedup >= tuned.TOLERATED for each in timings)


def count(scope: Scope) -> int:
    return 2 * len(scope.models) * len(_FORMATS)


def _networks(scope: Scope, device: torch.device):
    for preset, size, channels in scope.models:
        for kind, format in _FORMATS:
            title = f"{preset} {size[0]}x{size[1]}, batch {scope.network_batch}, {kind}"
            latents = torch.randn(scope.network_batch, 100, device=device)
            images = torch.randn(scope.network_batch, channels, *size, device=device).to(memory_format=format)
            for name, model, x in (
                ("generator", Generator(size, channels, width=scope.width, preset=preset), latents),
                ("discriminator", Discriminator(size, channels, width=scope.width, preset=preset), images),
            ):
                yield f"{name} {title}", model.to(device).to(memory_format=format).train(), x


def _training_pass(model: nn.Module, x: torch.Tensor, precision: str) -> Callable[[], None]:
    dtype = _HALVES.get(precision)

    def call() -> None:
        with torch.autocast(x.device.type, dtype) if dtype else contextlib.nullcontext():
            y = model(x)
        y.float().square().mean().backward()
        model.zero_grad(set_to_none=True)

    return call


@contextlib.contextmanager
def _auto(table: Table | None):
    with backends.use_backend("auto"), tuned.using(table):
        yield
