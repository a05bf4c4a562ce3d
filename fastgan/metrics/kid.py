"""Kernel Inception Distance between two sets of features."""

from dataclasses import dataclass

import numpy as np
import torch

from fastgan.noise import Stream, permutation

MAX_SUBSET_SIZE = 500


@dataclass(frozen=True)
class Kid:
    """A distance: `mean` and `std` over `subsets` draws of `subset_size` images from each side."""

    mean: float
    std: float
    subsets: int
    subset_size: int


def kid(
    real_features: np.ndarray,
    fake_features: np.ndarray,
    *,
    subsets: int = 20,
    subset_size: int | None = None,
    seed: int = 0,
) -> Kid:
    """Squared maximum mean discrepancy with the kernel (x.y / F + 1)^3, the mean over random subsets.

    real_features: float [N, F]; fake_features: float [M, F], from the same extractor. The mean is unbiased:
    it is 0 on average, and so sometimes negative, where both sides are draws from one distribution.
    `subset_size` None means half of the smaller side, at most 500. Computed in float64; the subsets are
    functions of `seed` (noise stream METRIC) alone and torch's random state is neither read nor changed.

    Source: M. Binkowski et al., "Demystifying MMD GANs" (ICLR 2018); the estimator is torchmetrics'
    `poly_mmd`.

    Raises:
        ValueError: shapes that do not fit, fewer than two images in a subset, a subset larger than a side, or
            features that are not finite.
    """
    from torchmetrics.image.kid import poly_mmd

    real, fake = _checked("real_features", real_features), _checked("fake_features", fake_features)
    if real.shape[1] != fake.shape[1]:
        raise ValueError(
            f"kid: fake_features must be [M, {real.shape[1]}] to match real_features, got {list(fake.shape)}"
        )
    smaller = min(len(real), len(fake))
    size = min(MAX_SUBSET_SIZE, max(2, smaller // 2)) if subset_size is None else subset_size
    if not 2 <= size <= smaller:
        raise ValueError(f"kid: subset_size must be in [2, {smaller}], the smaller of both sides, got {size}")
    if subsets < 1:
        raise ValueError(f"kid: subsets must be at least 1, got {subsets}")
    values = [
        poly_mmd(
            real[permutation(seed, Stream.METRIC, 2 * i, len(real))[:size]],
            fake[permutation(seed, Stream.METRIC, 2 * i + 1, len(fake))[:size]],
        ).item()
        for i in range(subsets)
    ]
    return Kid(float(np.mean(values)), float(np.std(values)), subsets, size)


def _checked(name: str, features: np.ndarray) -> torch.Tensor:
    values = torch.as_tensor(np.asarray(features), dtype=torch.float64)
    if values.ndim != 2 or len(values) < 2:
        raise ValueError(f"kid: {name} must be [N, F] with N >= 2, got {list(values.shape)}")
    if not torch.isfinite(values).all():
        raise ValueError(f"kid: {name} must be finite, got NaN or infinity")
    return values
