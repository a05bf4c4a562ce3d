"""Gradient penalties: terms of the discriminator's loss that look at its slope, so that it stays smooth.

Squares and sums are taken in float32 or wider, and the graph is kept: the penalty's own gradient is a second derivative
of the discriminator, exact for every operator of fastgan. torch.compile does not support that; call them outside
compiled code.
"""

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["gradient_penalty", "r1_penalty", "r2_penalty"]


def r1_penalty(real_logits: Tensor, real_images: Tensor, r1_gamma: float = 1.0) -> Tensor:
    """r1_gamma / 2 * mean over the batch of |d real_logits / d real_images|^2, a scalar.

    real_logits: [N], computed from real_images [N, C, H, W], which must require gradients. Source: Mescheder et al.
    2018, "Which Training Methods for GANs do actually Converge?", equation 9.

    Raises:
        ValueError: real_images takes no gradient, or the logits do not depend on them.
    """
    return _zero_centred("r1_penalty", "real", real_logits, real_images, r1_gamma)


def r2_penalty(fake_logits: Tensor, fake_images: Tensor, r2_gamma: float = 1.0) -> Tensor:
    """r2_gamma / 2 * mean over the batch of |d fake_logits / d fake_images|^2: R1 on generated images, cut off G.

    fake_images [N, C, H, W] is best `generator(z).detach().requires_grad_()`. Source: Mescheder et al. 2018, section
    4.1. Raises ValueError as `r1_penalty` does.
    """
    return _zero_centred("r2_penalty", "fake", fake_logits, fake_images, r2_gamma)


def gradient_penalty(
    discriminator: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, *, weight: float = 10.0, mix: Tensor
) -> Tensor:
    """weight * mean of (|d D(x) / d x| - 1)^2 at x = mix * real + (1 - mix) * fake, a scalar.

    Args:
        discriminator: x [N, C, H, W] -> logits [N]; with classes, a function that has the labels already.
        real, fake: [N, C, H, W]; both are cut off their graphs.
        weight: the lambda of the paper.
        mix: [N], uniform in [0, 1): an argument, because the randomness of a training belongs to its caller.

    Source: Gulrajani et al. 2017, "Improved Training of Wasserstein GANs", algorithm 1.

    Raises:
        ValueError: shapes that do not fit.
    """
    if real.shape != fake.shape:
        raise ValueError(
            f"gradient_penalty: fake must have the shape of real {list(real.shape)}, got {list(fake.shape)}"
        )
    if mix.shape != real.shape[:1]:
        raise ValueError(f"gradient_penalty: mix must be [N={real.shape[0]}], got {list(mix.shape)}")
    share = mix.reshape(-1, *[1] * (real.ndim - 1)).to(real.dtype)
    between = (share * real + (1 - share) * fake).detach().requires_grad_()
    norms = _squared_slopes("gradient_penalty", "mixed", discriminator(between), between).sqrt()
    return weight * (norms - 1).square().mean()


def _zero_centred(op: str, side: str, logits: Tensor, images: Tensor, gamma: float) -> Tensor:
    return gamma / 2 * _squared_slopes(op, side, logits, images).mean()


def _squared_slopes(op: str, side: str, logits: Tensor, images: Tensor) -> Tensor:
    """|d logits / d images|^2 of each sample: [N], in float32 or wider, with its graph."""
    if not images.requires_grad:
        raise ValueError(
            f"{op}: {side}_images must require gradients before the discriminator sees them, got a tensor that does "
            "not; call requires_grad_() on it"
        )
    total = _wide(logits).sum()
    (slopes,) = torch.autograd.grad(total, images, create_graph=True, allow_unused=True)
    if slopes is None:
        raise ValueError(
            f"{op}: {side}_logits must be computed from {side}_images, got logits that do not depend on them"
        )
    return _wide(slopes).flatten(1).square().sum(1)


def _wide(x: Tensor) -> Tensor:
    """At least float32: squares of half-precision slopes overflow or vanish."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
