"""Pixels to floats and back without loss."""

import numpy as np
import pytest
import torch

from fastgan.models import to_float, to_uint8


def test_every_byte_survives_the_round_trip():
    images = torch.arange(256, dtype=torch.uint8).view(1, 16, 4, 4)
    floats = to_float(images)
    assert floats.shape == (1, 4, 16, 4) and floats.dtype == torch.float32
    assert floats.min() == -1 and floats.max() == 1
    assert torch.equal(to_uint8(floats), images)
    assert torch.equal(to_float(images.numpy()), floats)


def test_layout_is_moved_not_mixed():
    images = torch.randint(0, 256, (2, 5, 7, 3), dtype=torch.uint8)
    floats = to_float(images)
    assert floats[1, 2, 3, 4] == images[1, 3, 4, 2] / 127.5 - 1
    assert floats.is_contiguous(memory_format=torch.channels_last)
    assert to_uint8(floats.contiguous()).is_contiguous()


def test_rounding_is_half_to_even_and_values_are_cut():
    odd = torch.arange(129, 257, 2)
    values = odd.div(255.0) - 1
    ties = (values + 1).mul(127.5) == odd.div(2.0)
    assert ties.sum() > 20
    below = (odd[ties] - 1) // 2
    assert torch.equal(to_uint8(values[ties].view(1, 1, 1, -1)).flatten().long(), below + below % 2)
    values = torch.tensor([-9.0, -1.5, -1.0, 1.0, 1.5, 9.0, float("inf")])
    assert to_uint8(values.view(1, 1, 1, 7)).flatten().tolist() == [0, 0, 0, 255, 255, 255, 255]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_are_converted_first(dtype):
    x = torch.rand(2, 3, 4, 4) * 2 - 1
    assert torch.equal(to_uint8(x.to(dtype)), to_uint8(x.to(dtype).float()))


def test_wrong_types_are_refused():
    with pytest.raises(TypeError, match=r"uint8 \[N, H, W, C\], got torch.float32 \[2, 3, 4, 4\]"):
        to_float(torch.zeros(2, 3, 4, 4))
    with pytest.raises(TypeError, match="uint8"):
        to_float(np.zeros((4, 4, 3), dtype=np.uint8))
    with pytest.raises(TypeError, match="floating"):
        to_uint8(torch.zeros(2, 3, 4, 4, dtype=torch.uint8))
