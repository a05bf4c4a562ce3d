"""Sizes: what a model can have, and the nearest of them."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastgan.models import check_size, nearest_size
from fastgan.models.sizes import doublings

SIDES = st.integers(1, 1100)


@pytest.mark.parametrize(
    ("size", "k", "first"),
    [
        ((8, 8), 1, (4, 4)),
        ((28, 28), 2, (7, 7)),
        ((32, 32), 3, (4, 4)),
        ((48, 48), 3, (6, 6)),
        ((64, 64), 4, (4, 4)),
        ((96, 96), 4, (6, 6)),
        ((40, 64), 3, (5, 8)),
        ((64, 40), 3, (8, 5)),
        ((14, 10), 1, (7, 5)),
        ((32, 128), 3, (4, 16)),
        ((1024, 1024), 8, (4, 4)),
    ],
)
def test_sizes_that_work(size, k, first):
    assert check_size(list(size)) == size
    assert doublings(size) == (k, first)
    assert nearest_size(*size) == size


@pytest.mark.parametrize("size", [(30, 30), (4, 4), (7, 14), (64, 63), (8, 256), (2048, 2048), (0, 8), (-8, 8)])
def test_other_sizes_are_refused_with_the_nearest(size):
    height, width = nearest_size(*size)
    with pytest.raises(ValueError, match=f"got {size[0]}x{size[1]}; the nearest such size is {height}x{width}"):
        check_size(size)
    assert check_size((height, width)) == (height, width)


@pytest.mark.parametrize("size", [28, (28,), (28, 28, 1), "28", (28.0, 28.0), None])
def test_what_is_not_a_size_is_refused(size):
    with pytest.raises(TypeError, match="two integers"):
        check_size(size)


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES)
def test_nearest_size_is_possible_and_no_neighbour_is_nearer(height, width):
    def distance(size):
        return abs(math.log(size[0] / height)) + abs(math.log(size[1] / width))

    nearest = nearest_size(height, width)
    k, (b, b_width) = doublings(nearest)
    assert (b << k, b_width << k) == nearest and 4 <= min(b, b_width) < 8 and k >= 1
    if max(height, width) <= 1024:
        for other_height in range(max(8, height - 5), min(1024, height + 5) + 1):
            for other_width in range(max(8, width - 5), min(1024, width + 5) + 1):
                if distance((other_height, other_width)) < distance(nearest) - 1e-9:
                    with pytest.raises(ValueError, match="nearest"):
                        check_size((other_height, other_width))


def test_oversized_images_keep_their_shape():
    height, width = nearest_size(3000, 2000)
    assert max(height, width) == 1024 and abs(height / width - 1.5) < 0.15
