"""The launches whose resources and traffic are held against budgets: a launcher's call, and the targets it is for."""

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from fastgan.kernels import gan_loss
from support.chain_rows import case_of, with_wide_parameters

from fastgan.reference.gan_loss import FAMILIES

from . import chain_launches, pass_launches
from .chain_table import BATCH_NORMS, NVIDIA, PASSES, ROWS, Row
from .compilation import TARGETS

# One target of mma.sync and one of wgmma. The others have the PTX of sm_80, or instructions that are not modelled.
EMULATED_TARGETS = NVIDIA


@dataclass(frozen=True)
class Case:
    """A call of launchers on CPU tensors that it makes itself, always the same ones; within(target): its setting."""

    configuration: str
    call: Callable[[], object]
    targets: tuple[str, ...] = TARGETS
    within: Callable[[str], AbstractContextManager] = lambda target: nullcontext()


def _gan_loss(family: str, dtype: torch.dtype) -> Callable[[], object]:
    def call() -> object:
        generator = torch.Generator().manual_seed(0)
        real, fake = (torch.randn(2048, generator=generator).to(dtype) for _ in range(2))
        return gan_loss.gan_loss(real, fake, FAMILIES.index(family))

    return call


def _chain(row: Row) -> Case:
    case = case_of(row)
    up = None
    if row.parts:
        up = chain_launches.upstream(case, row.uses)
    if row.wide_weight:
        case, _ = with_wide_parameters(case)
    return Case(
        row.configuration,
        functools.partial(chain_launches.launched, case, up, row.parts),
        row.targets + row.full,
        functools.partial(chain_launches.setting, precision=row.precision, large=row.large),
    )


GAN_LOSS = (
    Case("gan_loss non_saturating float32 2048", _gan_loss("non_saturating", torch.float32)),
    Case("gan_loss hinge float16 2048", _gan_loss("hinge", torch.float16), EMULATED_TARGETS),
)
CHAIN = {row.configuration: _chain(row) for row in ROWS}
for _rows, _call in ((PASSES, pass_launches.affine_act_of), (BATCH_NORMS, pass_launches.batch_norm_affine_of)):
    for _row in _rows:
        CHAIN[_row.configuration] = Case(
            _row.configuration, functools.partial(_call, _row), _row.targets + _row.full, chain_launches.setting
        )
CASES = (*GAN_LOSS, *CHAIN.values())
