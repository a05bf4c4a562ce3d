"""Image sizes the models can have: b * 2^k by b' * 2^k, and the nearest of them to any other size."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["check_size", "doublings", "nearest_size"]

_SMALLEST_MAP = 4
_LARGEST_MAP = 32  # the longer side of the first map, exclusive: shapes up to about 8 : 1
_LARGEST_SIDE = 1024


def doublings(size: tuple[int, int]) -> tuple[int, tuple[int, int]]:
    """(k, (b, b')) with size = (b * 2^k, b' * 2^k), k >= 1 and 4 <= min(b, b') < 8.

    k is the number of times a generator doubles its first map of b by b'. Raises ValueError for other sizes.
    """
    found = _doublings(*size)
    if found is None:
        nearest = nearest_size(*size)
        raise ValueError(
            f"models: size must be b * 2^k by b' * 2^k with k >= 1 and the smaller of b, b' from 4 to 7, "
            f"got {size[0]}x{size[1]}; the nearest such size is {nearest[0]}x{nearest[1]}"
        )
    return found


def check_size(size: Sequence[int]) -> tuple[int, int]:
    """The size (height, width) as a tuple of ints if a model can have it.

    Raises TypeError unless it is two integers, ValueError naming the nearest size that works.
    """
    if not isinstance(size, Sequence) or len(size) != 2 or not all(hasattr(side, "__index__") for side in size):
        raise TypeError(f"models: size must be two integers (height, width), got {size!r}")
    height, width = (side.__index__() for side in size)
    doublings((height, width))
    return height, width


def nearest_size(height: int, width: int) -> tuple[int, int]:
    """The possible size whose sides are closest to (height, width) by ratio.

    Sizes beyond the largest are first shrunk to it in proportion.
    """
    shrink = max(1.0, max(height, width) / _LARGEST_SIDE)
    height, width = max(round(height / shrink), 1), max(round(width / shrink), 1)
    possible = (
        (b << k, b_width << k)
        for k in range(1, _LARGEST_SIDE.bit_length())
        for b in _near(height, k)
        for b_width in _near(width, k)
        if _doublings(b << k, b_width << k) is not None
    )
    return min(possible, key=lambda s: abs(math.log(s[0] / height)) + abs(math.log(s[1] / width)))


def _doublings(height: int, width: int) -> tuple[int, tuple[int, int]] | None:
    if not 2 * _SMALLEST_MAP <= min(height, width) <= max(height, width) <= _LARGEST_SIDE:
        return None
    k = min(height, width).bit_length() - 3  # brings the shorter side into [4, 8)
    b, b_width = height >> k, width >> k
    if (b << k, b_width << k) != (height, width) or max(b, b_width) >= _LARGEST_MAP:
        return None
    return k, (b, b_width)


def _near(side: int, k: int) -> set[int]:
    """Candidates for b: the two integers around side / 2^k and the limits."""
    below = side >> k
    limits = range(_SMALLEST_MAP, _LARGEST_MAP)
    return {b for b in (below, below + 1) if b in limits} | {limits[0], 7, limits[-1]}
