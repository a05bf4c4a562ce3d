"""The training step that is timed: what people write by hand in stock torch, on whatever modules it is given."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RATE, BETAS, ADAM_EPS = 2e-4, (0.5, 0.999), 1e-8
R1_GAMMA = 10.0


class TrainingStep:
    """One step of a GAN with non-saturating losses: D on real and on generated images, then G; fused Adam.

    z [N, z_dim]; x [N, C, H, W]; with `r1` the discriminator's loss also has R1 on the real images. A call returns both
    losses. Every step uses the same latents and images.
    """

    def __init__(self, generator: nn.Module, discriminator: nn.Module, z: Tensor, x: Tensor, r1: bool = False):
        self.generator, self.discriminator = generator, discriminator
        self.z, self.x, self.r1 = z, x, r1
        self.start = {name: value.detach().clone() for name, value in self._state()}
        self._optimisers()

    def __call__(self) -> tuple[Tensor, Tensor]:
        generator, discriminator = self.generator, self.discriminator
        real = self.x.detach().requires_grad_() if self.r1 else self.x
        discriminator.zero_grad()
        fake = generator(self.z)
        real_logits = discriminator(real)
        d_loss = F.softplus(-real_logits).mean() + F.softplus(discriminator(fake.detach())).mean()
        if self.r1:
            (slope,) = torch.autograd.grad(real_logits.sum(), real, create_graph=True)
            d_loss = d_loss + R1_GAMMA / 2 * slope.square().sum((1, 2, 3)).mean()
        d_loss.backward()
        self.adam_d.step()

        generator.zero_grad()
        g_loss = F.softplus(-discriminator(fake)).mean()
        g_loss.backward()
        self.adam_g.step()
        return d_loss.detach(), g_loss.detach()

    def reset(self) -> None:
        """Back to the state it was made with, so that every block times the same work."""
        with torch.no_grad():
            for name, value in self._state():
                value.copy_(self.start[name])
        self._optimisers()

    def updates(self) -> dict[str, Tensor]:
        """What each parameter has moved since the start."""
        parameters = {name for name, value in self._state() if isinstance(value, nn.Parameter)}
        return {name: v.detach() - self.start[name] for name, v in self._state() if name in parameters}

    def _state(self) -> Iterator[tuple[str, Tensor]]:
        for letter, model in (("g", self.generator), ("d", self.discriminator)):
            for name, value in (*model.named_parameters(), *model.named_buffers()):
                # A compiled module puts a name of its own in front.
                yield f"{letter}/{name.removeprefix('_orig_mod.')}", value

    def _optimisers(self) -> None:
        self.adam_g, self.adam_d = (
            torch.optim.Adam(model.parameters(), lr=RATE, betas=BETAS, eps=ADAM_EPS, fused=True)
            for model in (self.generator, self.discriminator)
        )
