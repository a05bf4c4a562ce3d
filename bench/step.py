"""The training step that is timed: what people write by hand in stock torch, on whatever modules it is given."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastgan import losses
from fastgan.device import autocast

RATE, BETAS, ADAM_EPS = 2e-4, (0.5, 0.999), 1e-8
R1_GAMMA = 10.0
LOSS_SCALE = 4096.0  # to begin with: no gradient of these networks overflows, so that no step is skipped


class TrainingStep:
    """One step of a GAN with non-saturating losses: D on real and on generated images, then G; fused Adam.

    z [N, z_dim]; x [N, C, H, W], on the device of the networks; with `r1` the discriminator's loss also has R1 on the
    real images. precision: "fp32", or autocast to "fp16" (with torch's scaled gradients) or "bf16"; losses and the
    penalty are float32. capturable: Adam may become part of a CUDA graph. A call returns both losses. Every step uses
    the same latents and images, and none waits for the device.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        z: Tensor,
        x: Tensor,
        r1: bool = False,
        precision: str = "fp32",
        capturable: bool = False,
    ):
        self.generator, self.discriminator = generator, discriminator
        self.z, self.x, self.r1 = z, x, r1
        self.precision = precision
        self.start = {name: value.detach().clone() for name, value in self._state()}
        self.adam_g, self.adam_d = (
            torch.optim.Adam(model.parameters(), lr=RATE, betas=BETAS, eps=ADAM_EPS, fused=True, capturable=capturable)
            for model in (generator, discriminator)
        )
        self.scaler = torch.amp.GradScaler(z.device.type, LOSS_SCALE, enabled=precision == "fp16")
        self.scaler_start = self.scaler.state_dict()

    def __call__(self) -> tuple[Tensor, Tensor]:
        generator, discriminator, scaler = self.generator, self.discriminator, self.scaler
        real = self.x.detach().requires_grad_() if self.r1 else self.x
        discriminator.zero_grad()
        with autocast(self.z.device, self.precision):
            fake = generator(self.z)
            real_logits = self._logits(real)
            d_loss = F.softplus(-real_logits).mean() + F.softplus(self._logits(fake.detach())).mean()
        if self.r1:
            (slope,) = torch.autograd.grad(real_logits.sum(), real, create_graph=True)
            d_loss = d_loss + R1_GAMMA / 2 * slope.square().sum((1, 2, 3)).mean()
        scaler.scale(d_loss).backward()
        scaler.step(self.adam_d)

        generator.zero_grad()
        with autocast(self.z.device, self.precision):
            g_loss = F.softplus(-self._logits(fake)).mean()
        scaler.scale(g_loss).backward()
        scaler.step(self.adam_g)
        scaler.update()
        return d_loss.detach(), g_loss.detach()

    def reset(self) -> None:
        """Back to the state it was made with, in place, so that every block times the same work."""
        with torch.no_grad():
            for name, value in self._state():
                value.copy_(self.start[name])
            for adam in (self.adam_g, self.adam_d):
                for state in adam.state.values():
                    for value in state.values():
                        value.zero_()
        self.scaler.load_state_dict(self.scaler_start)

    def updates(self) -> dict[str, Tensor]:
        """What each parameter has moved since the start."""
        parameters = {name for name, value in self._state() if isinstance(value, nn.Parameter)}
        return {name: v.detach() - self.start[name] for name, v in self._state() if name in parameters}

    def _logits(self, images: Tensor) -> Tensor:
        logits = self.discriminator(images)
        return logits if self.precision == "fp32" else logits.float()

    def _state(self) -> Iterator[tuple[str, Tensor]]:
        for letter, model in (("g", self.generator), ("d", self.discriminator)):
            for name, value in (*model.named_parameters(), *model.named_buffers()):
                # A compiled module puts a name of its own in front.
                yield f"{letter}/{name.removeprefix('_orig_mod.')}", value


class LeanStep(TrainingStep):
    """The same updates with less work: fastgan's losses, and no gradient or pass that nobody needs.

    The discriminator reads real and generated images in one pass, which changes nothing where it has no batch norm, and
    its weights get no gradient while the generator learns. Without R1.
    """

    def __call__(self) -> tuple[Tensor, Tensor]:
        generator, discriminator, scaler = self.generator, self.discriminator, self.scaler
        discriminator.zero_grad()
        with autocast(self.z.device, self.precision):
            fake = generator(self.z)
            # In the dtype of the generated ones, which the discriminator's first layer would take it to anyway.
            both = self._logits(torch.cat([self.x.to(fake.dtype), fake.detach()]))
            real_logits, fake_logits = both.split([len(self.x), len(self.z)])
            d_loss = self._d_loss(real_logits, fake_logits)
        scaler.scale(d_loss).backward()
        scaler.step(self.adam_d)

        generator.zero_grad()
        discriminator.requires_grad_(False)
        with autocast(self.z.device, self.precision):
            g_loss = self._g_loss(self._logits(fake))
        scaler.scale(g_loss).backward()
        discriminator.requires_grad_(True)
        scaler.step(self.adam_g)
        scaler.update()
        return d_loss.detach(), g_loss.detach()

    def _d_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return losses.gan_loss(real_logits, fake_logits, family="non_saturating").d_loss

    def _g_loss(self, fake_logits: Tensor) -> Tensor:
        return losses.generator_loss(None, fake_logits, family="non_saturating")
