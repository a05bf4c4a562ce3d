"""The convolutions of the presets as data: kernel, channels and the sizes of their maps."""

from typing import Any

from torch import nn

from fastgan.models.discriminator import Discriminator
from fastgan.models.generator import Generator

__all__ = ["layers"]


def layers(preset: str, size: tuple[int, int], channels: int, width: int) -> list[dict[str, Any]]:
    """The convolutions of both networks, the generator's first, from input to output.

    plain_input: neither scale nor shift nor activation is pending in front; statistics: a batch norm follows.
    """
    generator = Generator(size, channels, width=width, preset=preset)
    networks = (generator, Discriminator(size, channels, width=width, preset=preset))
    found = []
    for network in networks:
        # Preset keras begins with a linear map to 4 to 7 pixels a side, dcgan with one pixel.
        sides = tuple(size)
        if network is generator:
            while preset == "keras" and min(sides) >= 8:
                sides = tuple(side // 2 for side in sides)
            sides = sides if preset == "keras" else (1, 1)
        modules = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
        for i, conv in enumerate(modules):
            found.append(_layer(conv, sides, first=i == 0 and not (network is generator and preset == "keras")))
            found[-1]["statistics"] = i < len(modules) - 1 and (network is generator or (preset == "dcgan" and i > 0))
            sides = found[-1]["output_size"]
    return found


def _layer(conv: nn.Conv2d | nn.ConvTranspose2d, sides: tuple[int, ...], first: bool) -> dict[str, Any]:
    transposed = isinstance(conv, nn.ConvTranspose2d)
    geometry = zip(sides, conv.kernel_size, conv.stride, conv.padding, strict=True)
    if transposed:
        after = tuple((side - 1) * step - 2 * pad + kernel for side, kernel, step, pad in geometry)
    else:
        after = tuple((side + 2 * pad - kernel) // step + 1 for side, kernel, step, pad in geometry)
    return {
        "transposed": transposed,
        "inner": conv.in_channels,
        "outer": conv.out_channels,
        "kernel": list(conv.kernel_size),
        "stride": list(conv.stride),
        "padding": list(conv.padding),
        "input_size": list(sides),
        "output_size": list(after),
        "plain_input": first,
    }
