"""The reference model: our preset keras at 64x64 against the same layers as stock torch modules, one training step."""

from collections.abc import Callable
from typing import Any

import torch
from fastgan.bench.measure import interleaved, summary
from torch import Tensor, nn

from fastgan.models import Discriminator, Generator
from fastgan.models.keras import FlattenNHWC, UnflattenNHWC

BATCHES = (16, 64)
_BN = {"eps": 1e-3, "momentum": 0.01}
_CONV = {"kernel_size": 4, "stride": 2, "padding": 1}


def stock_generator() -> nn.Sequential:
    """z [N, 100] -> 4x4x512 -> 256 -> 128 -> 64 -> image [N, 3, 64, 64], without any module of ours that computes."""
    layers = [nn.Linear(100, 8192, bias=False), nn.BatchNorm1d(8192, **_BN), nn.LeakyReLU(0.3), UnflattenNHWC(4, 4)]
    for inner, outer in ((512, 256), (256, 128), (128, 64)):
        layers += [nn.ConvTranspose2d(inner, outer, bias=False, **_CONV), nn.BatchNorm2d(outer, **_BN)]
        layers += [nn.LeakyReLU(0.3)]
    return nn.Sequential(*layers, nn.ConvTranspose2d(64, 3, **_CONV), nn.Tanh())


def stock_discriminator() -> nn.Sequential:
    """Image [N, 3, 64, 64] -> 64 -> 128 -> 256 -> logit [N, 1]."""
    layers = []
    for inner, outer in ((3, 64), (64, 128), (128, 256)):
        layers += [nn.Conv2d(inner, outer, **_CONV), nn.LeakyReLU(0.3)]
    return nn.Sequential(*layers, FlattenNHWC(), nn.Linear(16384, 1))


def run(rounds: int = 15) -> list[dict[str, Any]]:
    """One record per batch: ms a step of both, their ratio, and the largest relative error of the images."""
    return [_case(batch, rounds) for batch in BATCHES]


def _case(batch: int, rounds: int) -> dict[str, Any]:
    torch.manual_seed(batch)
    ours, stock = (Generator(), Discriminator()), (stock_generator(), stock_discriminator())
    for mine, theirs in zip(ours, stock, strict=True):
        for p, q in zip(mine.parameters(), theirs.parameters(), strict=True):
            q.data.copy_(p.data)
    z = torch.randn(batch, 100)
    x = torch.randn(batch, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    error = _gate(ours[0](z), stock[0](z), batch)
    seconds = interleaved({"eager": _step(*stock, z, x), "ours": _step(*ours, z, x)}, rounds, repeats=1)
    ms = {name: summary(values) for name, values in seconds.items()}
    record = {"op": "training step", "pass": "whole", "family": "wasserstein", "shape": [batch, 3, 64, 64]}
    speedup = ms["eager"]["p50"] / ms["ours"]["p50"]
    return {**record, "dtype": "float32", "ms": ms, "speedup": speedup, "max_rel_err": error}


def _step(generator: nn.Module, discriminator: nn.Module, z: Tensor, x: Tensor) -> Callable[[], None]:
    def step() -> None:
        fake = generator(z)
        (discriminator(fake.detach()).mean() - discriminator(x).mean()).backward()
        (-discriminator(fake).mean()).backward()
        generator.zero_grad()
        discriminator.zero_grad()

    return step


def _gate(ours: Tensor, expected: Tensor, batch: int) -> float:
    worst = ((ours - expected).abs().max() / expected.abs().max()).item()
    if not worst <= 1e-5:
        raise AssertionError(f"preset keras at batch {batch} is wrong by {worst:.1e}: not timed")
    return worst
