"""Sizes of the implicit GEMM of a convolution, as launchers hand them to kernels (see kernels/taps.py)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from fastgan.kernels.operands import BY_ROW, ONE_SAMPLE, SHARED
from torch import Tensor

_MOST_ROWS = 2**30  # rows are counted in int32, with room for a last tile; elements in int64


class Correlation(NamedTuple):
    """What runs: sizes are (height, width); stride that of the outputs of a phase if transposed, else of its inputs."""

    samples: int
    in_channels: int
    out_channels: int
    in_size: tuple[int, int]
    out_size: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    transposed: bool

    @property
    def phases(self) -> int:
        along_h, along_w = self._steps
        return along_h * along_w

    @property
    def _steps(self) -> tuple[int, int]:
        return self.stride if self.transposed else (1, 1)

    @property
    def phase_pixels(self) -> int:
        """Outputs of the largest phase."""
        (height, width), (by_h, by_w) = self.out_size, self._steps
        return -(-height // by_h) * -(-width // by_w)

    @property
    def taps(self) -> int:
        """Taps of the largest phase."""
        (k_h, k_w), (by_h, by_w) = self.kernel, self._steps
        return -(-k_h // by_h) * -(-k_w // by_w)

    def constants(self) -> dict[str, int | bool]:
        """What kernels are compiled for, by the names that they have there."""
        names = {"C": self.in_channels, "CO": self.out_channels, "TRANSPOSED": self.transposed}
        for name, (along_h, along_w) in (("K", self.kernel), ("S", self.stride), ("P", self.padding)):
            names |= {f"{name}H": along_h, f"{name}W": along_w}
        return names


def correlation(
    samples: int,
    in_channels: int,
    out_channels: int,
    in_size: Sequence[int],
    out_size: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    transposed: bool,
) -> Correlation:
    """Raises ValueError for more pixels than a grid counts.

    Where a transposed convolution has a single input along an axis, every output reads at most one tap: with a
    stride that no two outputs of a phase fit into, each is a phase of its own and no tap is read in vain.
    """
    steps = list(stride)
    if transposed:
        steps = [
            max(step, out + pad) if side == 1 else step
            for step, side, out, pad in zip(stride, in_size, out_size, padding, strict=True)
        ]
    sides = [tuple(each) for each in (in_size, out_size, kernel, steps, padding)]
    shape = Correlation(samples, in_channels, out_channels, *sides, transposed)
    check_pixels(samples, in_size, out_size)
    return shape


def check_pixels(samples: int, *sizes: Sequence[int]) -> None:
    """Raises ValueError for maps of more pixels than a grid counts."""
    for height, width in sizes:
        if samples * height * width > _MOST_ROWS:
            raise ValueError(
                "affine_act_conv: feature maps must have at most 2^30 pixels in all, "
                f"got {samples} of {height} x {width}"
            )


class Rows(NamedTuple):
    """How rows are cut into tiles: see `taps.tile_rows`. tiles: of one phase."""

    by_sample: bool
    samples_per_tile: int
    pieces: int
    tiles: int


def tile_plan(samples: int, pixels: int, block_m: int, by_sample: bool) -> Rows:
    """Tiles of block_m rows for samples of that many pixels each."""
    if not by_sample:
        return Rows(False, samples, 1, -(-samples * pixels // block_m))
    per_tile, pieces = max(1, block_m // pixels), -(-pixels // block_m)
    return Rows(True, per_tile, pieces, -(-samples // per_tile) * pieces)


def has_rows(*vectors: Tensor | None) -> bool:
    """Whether a scale or shift [1 or N, C] has a row per sample."""
    return any(each is not None and each.shape[0] > 1 for each in vectors)


def vector_rows(plan: Rows, by_sample: bool) -> int:
    """How scale and shift are read where they have a row per sample (`by_sample`) or one for all."""
    if not by_sample:
        return SHARED.value
    return ONE_SAMPLE.value if plan.by_sample and plan.samples_per_tile == 1 else BY_ROW.value


def rows_apart(vector: Tensor | None) -> int:
    """Rows between those of a dense scale or shift that two samples read."""
    return 0 if vector is None or vector.shape[0] == 1 else 1


def channels_last(x: Tensor | None) -> Tensor | None:
    """x [N, C, H, W] in NHWC memory, as it is where it already lies so."""
    return None if x is None else x.contiguous(memory_format=torch.channels_last)


def dense(x: Tensor | None) -> Tensor | None:
    return None if x is None else x.contiguous()


def empty_map(
    samples: int, channels: int, size: Sequence[int], like: Tensor, dtype: torch.dtype | None = None
) -> Tensor:
    """[samples, channels, *size] in NHWC memory, on the device of `like` and in its dtype unless one is given."""
    shape = samples, channels, *size
    return torch.empty(shape, dtype=dtype or like.dtype, device=like.device, memory_format=torch.channels_last)
