"""One training step: the discriminator on real and generated images, then the generator, then its average."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fastgan import losses, noise
from fastgan.device import autocast
from fastgan.train.networks import Networks
from fastgan.train.options import TrainOptions


@dataclass
class StepResult:
    """Detached scalars of one step, still on the device so that reading them is the caller's choice."""

    d_loss: Tensor
    g_loss: Tensor
    statistics: dict[str, Tensor]


def latents(options: TrainOptions, step: int, device: torch.device) -> Tensor:
    """The latent vectors [batch, z_dim] of step number `step`, float32: samples step*batch ... of noise/1."""
    z = noise.normal(options.seed, noise.Stream.LATENT_G, step * options.batch, options.batch, options.z_dim)
    return torch.from_numpy(z).to(device, non_blocking=True)


def train_step(networks: Networks, options: TrainOptions, step: int, real: Tensor, labels: Tensor | None) -> StepResult:
    """Update D, then G, then the averaged generator, in place.

    One batch of generated images serves both updates (its gradient is cut for D), as in the widely used PyTorch
    DCGAN example. Generated images carry the labels of the real ones, so both follow the data's class balance.

    Args:
        networks: the networks and optimisers to update.
        options: loss, batch and precision.
        step: index of the step, from 0; fixes the latent vectors.
        real: real images [batch, C, H, W] in [-1, 1].
        labels: their classes [batch], or None without labels.
    """
    generator, discriminator, scaler = networks.generator, networks.discriminator, networks.scaler
    device = real.device
    with autocast(device, options.precision):
        fake = generator(latents(options, step, device), labels)
        real_logits = discriminator(real, labels)
        fake_logits = discriminator(fake.detach(), labels)
    result = losses.gan_loss(real_logits.float(), fake_logits.float(), family=options.loss)
    networks.d_optimizer.zero_grad(set_to_none=True)
    scaler.scale(result.d_loss).backward()
    scaler.step(networks.d_optimizer)

    discriminator.requires_grad_(False)
    with autocast(device, options.precision):
        fake_logits = discriminator(fake, labels)
        # The relativistic loss compares with real images here too; the others leave them out.
        real_logits = discriminator(real, labels) if options.loss == "rpgan" else None
    g_loss = losses.generator_loss(
        None if real_logits is None else real_logits.float(), fake_logits.float(), family=options.loss
    )
    networks.g_optimizer.zero_grad(set_to_none=True)
    scaler.scale(g_loss).backward()
    scaler.step(networks.g_optimizer)
    scaler.update()
    discriminator.requires_grad_(True)
    networks.average()
    return StepResult(result.d_loss.detach(), g_loss.detach(), result.statistics._asdict())
