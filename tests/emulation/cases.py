"""The launches whose resources and traffic are held against budgets: a launcher's call, and the targets it is for."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from fastgan.kernels import gan_loss

from fastgan.reference.gan_loss import FAMILIES

from .compilation import TARGETS

# One target of mma.sync and one of wgmma. The others have the PTX of sm_80, or instructions that are not modelled.
EMULATED_TARGETS = ("sm_80", "sm_90")


@dataclass(frozen=True)
class Case:
    """A call of a launcher on CPU tensors that it makes itself, always the same ones."""

    configuration: str
    call: Callable[[], object]
    targets: tuple[str, ...] = TARGETS


def _gan_loss(family: str, dtype: torch.dtype) -> Callable[[], object]:
    def call() -> object:
        generator = torch.Generator().manual_seed(0)
        real, fake = (torch.randn(2048, generator=generator).to(dtype) for _ in range(2))
        return gan_loss.gan_loss(real, fake, FAMILIES.index(family))

    return call


CASES = (
    Case("gan_loss non_saturating float32 2048", _gan_loss("non_saturating", torch.float32)),
    Case("gan_loss hinge float16 2048", _gan_loss("hinge", torch.float16)),
)
