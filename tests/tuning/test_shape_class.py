"""Classes of shapes, written out: what falls together, and what does not."""

import pytest
import torch
from torch import Tensor

from fastgan.ops import shape_class
from fastgan.ops.shape_class import of_convolution, of_map


def maps(*shape: int, last: bool = False) -> Tensor:
    x = torch.empty(shape, device="meta")
    return x.to(memory_format=torch.channels_last) if last else x


@pytest.mark.parametrize(
    ("x", "weight", "options", "expected"),
    [
        (
            maps(64, 64, 16, 16),
            maps(128, 64, 4, 4),
            (False, (2, 2), (1, 1), (8, 8)),
            "4x4 stride 2 padding 1, 64 to 128 channels, 4096 pixels, NCHW",
        ),
        (
            maps(64, 128, 8, 8),
            maps(128, 64, 4, 4),
            (True, (2, 2), (1, 1), (16, 16)),
            "4x4 stride 2 padding 1, 128 to 64 channels, 4096 pixels, NCHW",
        ),
        (
            maps(1, 3, 9, 9, last=True),
            maps(100, 3, 3, 2),
            (False, (2, 1), (1, 0), (5, 8)),
            "3x2 stride 2x1 padding 1x0, 3 to 128 odd channels, 64 pixels, NHWC",
        ),
        (
            maps(1, 24, 9, 9),
            maps(1, 24, 1, 1, last=True),
            (False, (1, 1), (0, 0), (9, 9)),
            "1x1 stride 1 padding 0, 32 to 1 channels, 64 pixels, NHWC",
        ),
    ],
    ids=["plain", "transposed", "uneven", "weight-alone-nhwc"],
)
def test_a_convolution(x, weight, options, expected):
    transposed, *where = options
    assert of_convolution(transposed, x, weight, *where) == expected


def test_batches_near_each_other_fall_together():
    names = [of_map(maps(batch, 64, 8, 8)) for batch in (1, 8, 16, 31, 32, 64, 127)]
    assert len(set(names)) == 3 and len(set(names[1:4])) == len(set(names[4:])) == 1


def test_a_map_of_any_rank():
    assert of_map(maps(16, 5)) == "5 channels, 16 pixels, NCHW"
    assert of_map(maps(2, 16, 3, 3, last=True)) == "16 channels, 16 pixels, NHWC"
    assert of_map(maps(0, 16, 3, 3)) == "16 channels, 1 pixels, NCHW"


def test_gradients_without_a_map_or_a_weight_have_no_class():
    dy, weight = maps(2, 8, 4, 4), maps(8, 4, 3, 3)
    where = ("none", 1.0, (1, 1), (1, 1), (4, 4), (4, 4), (3, 3), (True,) * 5)

    def of(grad_output, weight):
        tensors = (grad_output, None, None, None, weight, None, None, None, None, None)
        return shape_class.of_convolution_backward(False, (*tensors, *where))

    assert of(dy, weight) == "3x3 stride 1 padding 1, 4 to 8 channels, 64 pixels, NCHW"
    assert of(dy, None) == of(None, weight) == ""
