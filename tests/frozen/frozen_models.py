"""Generators with statistics and affine maps as a training leaves them, and latents for them."""

import torch
from torch import Tensor, nn

from fastgan.models import Generator

MODELS = {
    "keras 64x64x3": ((64, 64), 3, 0, "keras"),
    "keras 64x64x3, ten classes": ((64, 64), 3, 10, "keras"),
    "keras 28x28x1": ((28, 28), 1, 0, "keras"),
    "keras 28x28x1, ten classes": ((28, 28), 1, 10, "keras"),
    "keras 40x64x4, one class": ((40, 64), 4, 1, "keras"),
    "dcgan 64x64x3": ((64, 64), 3, 0, "dcgan"),
    "dcgan 28x28x1, ten classes": ((28, 28), 1, 10, "dcgan"),
}


def used(model: nn.Module, seed: int = 0) -> nn.Module:
    """`model` in evaluation mode with batch norms that do something, and weights that give every value."""
    generator = torch.Generator().manual_seed(seed)

    def normal(like: Tensor, mean: float, deviation: float) -> Tensor:
        return mean + deviation * torch.randn(like.shape, generator=generator)

    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.running_mean.copy_(normal(module.running_mean, 0, 0.3))
                module.running_var.copy_(normal(module.running_var, 1, 0.2).abs() + 0.1)
                module.weight.copy_(normal(module.weight, 1, 0.2))
                module.bias.copy_(normal(module.bias, 0, 0.3))
            elif isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                products = module.weight[0].numel()
                if isinstance(module, nn.ConvTranspose2d):
                    products = module.in_channels * max(1, module.weight[0, 0].numel() // 4)
                module.weight.copy_(normal(module.weight, 0, 1.5 * products**-0.5))
    return model.eval().requires_grad_(False)


def make(name: str, width: int = 8) -> Generator:
    """One of MODELS with weights from a seed."""
    size, channels, num_classes, preset = MODELS[name]
    return used(Generator(size, channels, 20, width, num_classes, preset).init_weights(3))


def inputs(model: nn.Module, count: int) -> tuple[Tensor, ...]:
    """Latents, and labels where the model has classes."""
    z = torch.randn(count, model.z_dim, generator=torch.Generator().manual_seed(5))
    return (z, torch.arange(count) * 7 % model.num_classes) if model.num_classes else (z,)
