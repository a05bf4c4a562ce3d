"""Losses of GANs on logits: always (real_logits, fake_logits), never probabilities.

Logits are the discriminator's raw scores, of any shape, float32, float64, float16 or bfloat16; every
element counts alike. Losses are scalars, float32 (float64 for float64 logits), accumulated at least in that
width. Gradients are exact to any order, so gradient penalties may be built on top. Below, r are the real
and f the fake logits.

| family         | d_loss                                  | g_loss                   | source        |
|----------------|-----------------------------------------|--------------------------|---------------|
| non_saturating | mean softplus(-r) + mean softplus(f)    | mean softplus(-f)        | [1]           |
| hinge          | mean max(0, 1 - r) + mean max(0, 1 + f) | -mean f                  | [2]           |
| least_squares  | mean (r - 1)^2 / 2 + mean f^2 / 2       | mean (f - 1)^2 / 2       | [3]           |
| wasserstein    | mean f - mean r                         | -mean f                  | [4]           |
| rpgan          | mean softplus(-(r_i - f_i))             | mean softplus(r_i - f_i) | [5], [6]      |

[1] Goodfellow et al. 2014, "Generative adversarial networks". [2] Lim and Ye 2017, "Geometric GAN".
[3] Mao et al. 2017, "Least squares generative adversarial networks". [4] Arjovsky et al. 2017,
"Wasserstein GAN".
[5] Jolicoeur-Martineau 2018, "The relativistic discriminator". [6] Jolicoeur-Martineau 2020, "On relativistic
f-divergences" (RpGAN).

Every function raises TypeError for what is not a floating-point tensor and ValueError for an unknown
family, empty logits, logits of two dtypes or devices, and reals that are missing or too few for the pairs
of rpgan.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from fastgan.ops import gan_loss as _op
from fastgan.penalties import gradient_penalty, r1_penalty, r2_penalty
from fastgan.reference.gan_loss import FAMILIES, PAIRED

__all__ = [
    "FAMILIES",
    "GanLoss",
    "GanStatistics",
    "discriminator_loss",
    "gan_loss",
    "generator_loss",
    "gradient_penalty",
    "hinge_d_loss",
    "hinge_g_loss",
    "least_squares_d_loss",
    "least_squares_g_loss",
    "non_saturating_d_loss",
    "non_saturating_g_loss",
    "r1_penalty",
    "r2_penalty",
    "rpgan_d_loss",
    "rpgan_g_loss",
    "wasserstein_d_loss",
    "wasserstein_g_loss",
]

_DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


class GanStatistics(NamedTuple):
    """What a monitor wants to see of one step, detached scalars. A rate is the share of logits above 0."""

    real_mean: Tensor
    fake_mean: Tensor
    real_sign_rate: Tensor
    fake_sign_rate: Tensor


class GanLoss(NamedTuple):
    """Both losses of one pass over the logits, and its statistics."""

    d_loss: Tensor
    g_loss: Tensor
    statistics: GanStatistics


def gan_loss(real_logits: Tensor, fake_logits: Tensor, *, family: str = "non_saturating") -> GanLoss:
    """Both losses and the monitor statistics in one pass. The statistics carry no gradient."""
    _check("gan_loss", real_logits, fake_logits, family)
    d_loss, g_loss, statistics = _op.gan_loss(real_logits, fake_logits, family)
    return GanLoss(d_loss, g_loss, GanStatistics(*statistics.unbind()))


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor, *, family: str = "non_saturating") -> Tensor:
    """The discriminator's loss of `family` (see the table above), a scalar."""
    _check("discriminator_loss", real_logits, fake_logits, family)
    return _op.discriminator_loss(real_logits, fake_logits, family)


def generator_loss(real_logits: Tensor | None, fake_logits: Tensor, *, family: str = "non_saturating") -> Tensor:
    """The generator's loss of `family`, a scalar. real_logits may be None for every family but rpgan."""
    _check("generator_loss", real_logits, fake_logits, family, reals_needed=family in PAIRED)
    return _op.generator_loss(real_logits, fake_logits, family)


def non_saturating_d_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """mean softplus(-r) + mean softplus(f): cross-entropy on logits, real = 1 (Goodfellow et al. 2014)."""
    return discriminator_loss(real_logits, fake_logits, family="non_saturating")


def non_saturating_g_loss(real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
    """mean softplus(-f), the non-saturating heuristic of Goodfellow et al. 2014, section 3."""
    return generator_loss(real_logits, fake_logits, family="non_saturating")


def hinge_d_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """mean max(0, 1 - r) + mean max(0, 1 + f) (Lim and Ye 2017, "Geometric GAN")."""
    return discriminator_loss(real_logits, fake_logits, family="hinge")


def hinge_g_loss(real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
    """-mean f (Lim and Ye 2017)."""
    return generator_loss(real_logits, fake_logits, family="hinge")


def least_squares_d_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """mean (r - 1)^2 / 2 + mean f^2 / 2 (Mao et al. 2017, "Least squares GAN", with a = 0, b = c = 1)."""
    return discriminator_loss(real_logits, fake_logits, family="least_squares")


def least_squares_g_loss(real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
    """mean (f - 1)^2 / 2 (Mao et al. 2017)."""
    return generator_loss(real_logits, fake_logits, family="least_squares")


def wasserstein_d_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """mean f - mean r (Arjovsky et al. 2017); the critic needs a Lipschitz constraint beside it."""
    return discriminator_loss(real_logits, fake_logits, family="wasserstein")


def wasserstein_g_loss(real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
    """-mean f (Arjovsky et al. 2017)."""
    return generator_loss(real_logits, fake_logits, family="wasserstein")


def rpgan_d_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """mean softplus(-(r_i - f_i)), pairs by index in row-major order (Jolicoeur-Martineau 2018, 2020)."""
    return discriminator_loss(real_logits, fake_logits, family="rpgan")


def rpgan_g_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """mean softplus(-(f_i - r_i)), pairs by index (Jolicoeur-Martineau 2018, 2020). The reals are needed."""
    return generator_loss(real_logits, fake_logits, family="rpgan")


def _check(op: str, real: Tensor | None, fake: Tensor, family: str, reals_needed: bool = True) -> None:
    if family not in FAMILIES:
        raise ValueError(f"{op}: family must be one of {', '.join(FAMILIES)}, got {family!r}")
    _check_logits(op, "fake_logits", fake)
    if real is None:
        if reals_needed:
            raise ValueError(f"{op}: real_logits must be given for family {family!r}, got None")
        return
    _check_logits(op, "real_logits", real)
    if real.dtype != fake.dtype or real.device != fake.device:
        raise ValueError(
            f"{op}: real_logits and fake_logits must share dtype and device, got {real.dtype} on "
            f"{real.device} and {fake.dtype} on {fake.device}"
        )
    if family in PAIRED and real.numel() != fake.numel():
        raise ValueError(
            f"{op}: family {family!r} pairs logits by index and needs as many reals as fakes, got "
            f"{real.numel()} and {fake.numel()}"
        )


def _check_logits(op: str, name: str, logits: Tensor) -> None:
    if not isinstance(logits, Tensor):
        raise TypeError(f"{op}: {name} must be a tensor, got {type(logits).__name__}")
    if logits.dtype not in _DTYPES:
        raise TypeError(f"{op}: {name} must be float32, float64, float16 or bfloat16, got {logits.dtype}")
    if logits.numel() == 0:
        raise ValueError(f"{op}: {name} must hold at least one logit, got shape {tuple(logits.shape)}")
