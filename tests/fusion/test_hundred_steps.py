"""A small GAN trained for 100 steps, plain and fused: no further apart than stock torch is from itself.

The yardstick is stock torch trained twice, the second time from weights moved by one ulp each, up or down at random.
Training is chaotic: whatever rounds otherwise ends up somewhere else, and how far is what the yardstick measures.
"""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import fastgan
from fastgan import backends

STEPS, BATCH, SEEDS = 100, 8, range(5)
CONV = {"kernel_size": 4, "stride": 2, "padding": 1}


def make_gan(seed: int) -> nn.ModuleList:
    """A generator 16 -> 3x16x16 with batch norm, a discriminator with and without it; biases everywhere."""
    torch.manual_seed(seed)
    generator = nn.Sequential(
        nn.ConvTranspose2d(16, 24, 4),
        nn.BatchNorm2d(24),
        nn.ReLU(True),
        nn.ConvTranspose2d(24, 12, **CONV),
        nn.BatchNorm2d(12),
        nn.ReLU(True),
        nn.ConvTranspose2d(12, 3, **CONV),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(3, 12, **CONV),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(12, 24, **CONV),
        nn.BatchNorm2d(24),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(24, 1, 4),
        nn.Flatten(0),
    )
    return nn.ModuleList([generator, discriminator])


def images(generator: torch.Generator) -> Tensor:
    """Smooth random pictures: there is something to learn."""
    coarse = torch.randn(BATCH, 3, 4, 4, generator=generator)
    return torch.tanh(F.interpolate(coarse, size=16, mode="bilinear", align_corners=False))


def train(gan: nn.ModuleList, seed: int) -> tuple[dict[str, Tensor], list[float]]:
    """Parameters after the last step, and both losses of every step."""
    generator, discriminator = gan
    random = torch.Generator().manual_seed(1000 + seed)
    optimizers = [torch.optim.Adam(model.parameters(), lr=2e-4, betas=(0.5, 0.999)) for model in gan]
    history = []
    for _ in range(STEPS):
        real, z = images(random), torch.randn(BATCH, 16, 1, 1, generator=random)
        fake = generator(z)
        d_loss = F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(fake.detach())).mean()
        optimizers[1].zero_grad()
        d_loss.backward()
        optimizers[1].step()
        g_loss = F.softplus(-discriminator(fake)).mean()
        optimizers[0].zero_grad()
        g_loss.backward()
        optimizers[0].step()
        history += [d_loss.item(), g_loss.item()]
    return {name: p.detach() for name, p in gan.named_parameters()}, history


def moved_by_one_ulp(gan: nn.ModuleList, seed: int) -> nn.ModuleList:
    random = torch.Generator().manual_seed(2000 + seed)
    moved = copy.deepcopy(gan)
    with torch.no_grad():
        for p in moved.parameters():
            up = torch.rand(p.shape, generator=random) < 0.5
            p.copy_(torch.where(up, torch.nextafter(p, p + 1), torch.nextafter(p, p - 1)))
    return moved


def biases_before_batch_norm(gan: nn.ModuleList) -> set[str]:
    """Their gradients are rounding noise, which Adam blows up to full steps; nothing depends on them."""
    names = set()
    for prefix, model in gan.named_children():
        layers = list(model.named_children())
        for (name, layer), (_, following) in zip(layers, layers[1:], strict=False):
            if isinstance(following, nn.BatchNorm2d) and layer.bias is not None:
                names.add(f"{prefix}.{name}.bias")
    return names


def distance(one, other, exempt: set[str]) -> tuple[float, float]:
    """How far apart two trainings are: all weights together, and the losses along the way."""
    (weights, losses), (others, other_losses) = one, other
    gap = sum((weights[name] - others[name]).square().sum().item() for name in weights if name not in exempt)
    by_loss = sum((a - b) ** 2 for a, b in zip(losses, other_losses, strict=True))
    return math.sqrt(gap), math.sqrt(by_loss)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_fused_training_is_as_close_as_one_ulp(backend, need):
    if backend == "cpu":
        need(fastgan.native.ops_missing(), "cpu")
    spread, apart = [], []
    for seed in SEEDS:
        gan = make_gan(seed)
        exempt = biases_before_batch_norm(gan)
        assert exempt == {"0.0.bias", "0.3.bias", "1.2.bias"}
        plain = train(copy.deepcopy(gan), seed)
        spread.append(distance(plain, train(moved_by_one_ulp(gan, seed), seed), exempt))
        fused = copy.deepcopy(gan)
        for model in fused:
            fastgan.fuse_(model)
        with backends.use_backend(backend), backends.record() as runs:
            apart.append(distance(plain, train(fused, seed), exempt))
        assert {run.backend for run in runs} == {backend}
        assert {"affine_act_conv2d_backward", "affine_act_conv_transpose2d_backward"} <= {run.op for run in runs}
    for name, ours, stock in zip(
        ("weights", "losses"), zip(*apart, strict=True), zip(*spread, strict=True), strict=True
    ):
        # Over the seeds together: a single pair of runs may part early or late by chance.
        assert sum(ours) <= 3 * sum(stock), f"{name}: fused {ours}, one ulp {stock}"
        assert sum(stock) > 0
