"""Frozen generators for the C API, among them what no model of fastgan has; their inputs; their files in parts."""

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import fastgan
from fastgan.frozen import FrozenGenerator
from fastgan.models import Generator


def used(model: nn.Module) -> nn.Module:
    """`model` with batch norms that do something, and weights that give every value."""
    numbers = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.3, generator=numbers)
                module.running_var.uniform_(0.5, 1.5, generator=numbers)
                module.weight.normal_(1, 0.2, generator=numbers)
                module.bias.normal_(0, 0.3, generator=numbers)
            elif isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                module.weight.normal_(0, 3 * module.weight[0].numel() ** -0.5, generator=numbers)
    return model.eval().requires_grad_(False)


def of_fastgan(size: tuple[int, int], channels: int, num_classes: int, preset: str, width: int = 8) -> FrozenGenerator:
    return fastgan.freeze(used(Generator(size, channels, 20, width, num_classes, preset).init_weights(3)))


class Shuffled(nn.Module):
    """Needs a permutation: rows and columns are exchanged between two maps."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(5, 8, 4, 2, 1)
        self.out = nn.Conv2d(2, 3, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        return self.out(self.up(z).transpose(2, 3).unflatten(1, (2, 4)).flatten(2, 3)).tanh()


def vectors() -> FrozenGenerator:
    return fastgan.freeze(used(nn.Sequential(nn.Linear(7, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 9))))


PLANS = {
    "keras 64x64x3, ten classes": lambda: of_fastgan((64, 64), 3, 10, "keras", 16),
    "keras 28x28x1": lambda: of_fastgan((28, 28), 1, 0, "keras"),
    "keras 40x64x4, one class": lambda: of_fastgan((40, 64), 4, 1, "keras"),
    "dcgan 64x64x3": lambda: of_fastgan((64, 64), 3, 0, "dcgan"),
    "dcgan 28x28x1, ten classes": lambda: of_fastgan((28, 28), 1, 10, "dcgan"),
    "keras 8x8x3, three classes": lambda: of_fastgan((8, 8), 3, 3, "keras", 4),
    "maps for latents, a permutation": lambda: fastgan.freeze(used(Shuffled()), input_shape=(5, 2, 3)),
    "vectors": vectors,
}


def inputs(frozen: FrozenGenerator, count: int) -> tuple[tuple[Tensor, ...], np.ndarray, np.ndarray | None]:
    """What Python is called with, and the same as C wants it: rows in the order H, W, C, and labels or None."""
    z = torch.randn(count, *frozen.plan.input_shape, generator=torch.Generator().manual_seed(5))
    rows = z.permute(0, 2, 3, 1) if z.ndim == 4 else z
    latents = np.ascontiguousarray(rows.reshape(count, frozen.z_dim).numpy())
    if not frozen.num_classes:
        return (z,), latents, None
    c = torch.arange(count) * 7 % frozen.num_classes
    return (z, c), latents, c.numpy()


def python_images(frozen: FrozenGenerator, arguments: tuple[Tensor, ...]) -> np.ndarray:
    """float32 [N, H, W, C], vectors as [N, 1, 1, F]."""
    images = frozen(*arguments)
    images = images.permute(0, 2, 3, 1) if images.ndim == 4 else images[:, None, None]
    return np.ascontiguousarray(images.numpy())


@dataclass
class PlanFile:
    """A file of format frozen/1 taken apart, to be changed and put together again."""

    header: dict[str, Any]
    plan: dict[str, Any]
    data: bytes
    behind: bytes = b""  # what stands behind the numbers
    texts: list[tuple[bytes, bytes]] = field(default_factory=list)  # replacements in the header's text

    @classmethod
    def read(cls, path: Path) -> "PlanFile":
        content = path.read_bytes()
        (size,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + size])
        return cls(header, json.loads(header["__metadata__"]["fastgan"]), content[8 + size :])

    def __bytes__(self) -> bytes:
        if "__metadata__" in self.header and "fastgan" in self.header["__metadata__"]:
            self.header["__metadata__"]["fastgan"] = json.dumps(self.plan)
        text = json.dumps(self.header).encode()
        for before, after in self.texts:
            assert before in text, before
            text = text.replace(before, after, 1)
        return struct.pack("<Q", len(text)) + text + self.data + self.behind

    @property
    def steps(self) -> list[dict[str, Any]]:
        return self.plan["steps"]

    def numbers(self, name: str, dtype: str) -> np.ndarray:
        """The numbers of a tensor, to be written to."""
        if not isinstance(self.data, bytearray):
            self.data = bytearray(self.data)
        begin, end = self.header[name]["data_offsets"]
        return np.frombuffer(self.data, dtype, (end - begin) // np.dtype(dtype).itemsize, begin)
