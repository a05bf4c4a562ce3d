"""PNG files, read by Pillow."""

import io

import numpy as np
import pytest
from PIL import Image

from fastgan.synth.writers.png import MODES, decode_png, encode_png

SIZES = [(1, 1), (1, 6), (6, 1), (5, 7), (64, 64)]


def noise(size, channels) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*size, channels), np.uint8)


@pytest.mark.parametrize("level", [0, 1, 2, 9])
@pytest.mark.parametrize("channels", MODES)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
def test_pillow_reads_the_same_pixels(size, channels, level):
    image = noise(size, channels)
    file = io.BytesIO(encode_png(image, level))
    with Image.open(file) as read:
        read.verify()  # of every chunk's checksum
    assert np.array_equal(decode_png(file, size, channels), image)


@pytest.mark.parametrize("level", [0, 1])
def test_rows_that_do_not_lie_side_by_side(level):
    image = noise((8, 9), 3)[:, ::2]
    file = io.BytesIO(encode_png(image, level))
    assert np.array_equal(decode_png(file, (8, 5), 3), image)


@pytest.mark.parametrize("drawing", [True, False], ids=["flat colours", "smooth"])
def test_level_1_is_no_larger_than_pillows(drawing):
    how = Image.Resampling.NEAREST if drawing else Image.Resampling.BICUBIC
    image = np.asarray(Image.fromarray(noise((8, 8), 3)).resize((64, 64), how))
    theirs = io.BytesIO()
    Image.fromarray(image).save(theirs, "PNG", compress_level=1)
    assert len(encode_png(image, 1)) < len(theirs.getvalue()) < image.nbytes < len(encode_png(image, 0))


@pytest.mark.parametrize("level", [0, 1])
def test_every_filtered_neighbourhood(level):
    values = np.array([0, 1, 2, 3, 100, 127, 128, 129, 253, 254, 255], np.uint8)
    corner, above, left = (each.ravel() for each in np.meshgrid(values, values, values))
    image = np.stack([np.stack([corner, above]), np.stack([left, corner ^ above])])  # [2, 2, all triples]
    image = image.transpose(2, 0, 1).reshape(-1, 2)[:, :, None]  # one below the other
    file = io.BytesIO(encode_png(image, level))
    assert np.array_equal(decode_png(file, image.shape[:2], 1), image)
