"""Transform: geometry, colour, alpha, and the JSON that a run keeps."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support.images import picture

from fastgan.data import Transform

transforms = st.builds(
    lambda size, fit, kind: Transform(size, fit, *kind),
    st.tuples(st.integers(1, 512), st.integers(1, 512)),
    st.sampled_from(["crop", "pad", "stretch"]),
    st.sampled_from([(1, "white"), (1, "black"), (3, "white"), (3, "black"), (4, "keep")]),
)


@given(transforms)
def test_json_round_trip(transform):
    assert Transform.from_json(json.loads(json.dumps(transform.to_json()))) == transform


@pytest.mark.parametrize(
    "bad",
    [{"fit": "crop"}, {"size": [4, 4], "fit": "crop", "channels": 3, "alpha": "white", "code": "x"}, 3, None],
)
def test_json_refuses_other_keys(bad):
    with pytest.raises(ValueError, match="Transform: JSON must have exactly the keys"):
        Transform.from_json(bad)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"size": (0, 4)}, "size must be"),
        ({"size": (4,)}, "size must be"),
        ({"size": (4, 4), "fit": "zoom"}, "fit must be one of crop, pad, stretch, got 'zoom'"),
        ({"size": (4, 4), "channels": 2}, "channels must be one of 1, 3, 4, got 2"),
        ({"size": (4, 4), "channels": True}, "channels must be"),
        ({"size": (4, 4), "alpha": "red"}, "alpha must be"),
        ({"size": (4, 4), "channels": 4}, "goes with 4 channels"),
        ({"size": (4, 4), "alpha": "keep"}, "goes with 4 channels"),
    ],
)
def test_impossible_values(arguments, words):
    with pytest.raises(ValueError, match=words):
        Transform(**arguments)


@given(transforms, st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3, 4]))
def test_shape_of_any_image_to_any_size(transform, height, width, channels):
    transform = Transform(tuple(s % 37 + 1 for s in transform.size), transform.fit, transform.channels, transform.alpha)
    got = transform.apply(picture(0, height, width, channels))
    assert got.shape == transform.shape
    assert got.dtype == np.uint8
    assert got.flags.c_contiguous


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("channels", [1, 3])
def test_right_size_is_not_touched(fit, channels):
    array = np.random.default_rng(0).integers(0, 256, (9, 7, channels), np.uint8)
    transform = Transform((9, 7), fit, channels)
    assert np.array_equal(transform.apply(array), array)
    assert np.array_equal(transform.apply(Image.fromarray(array.squeeze())), array)


def test_crop_takes_the_middle():
    array = np.zeros((8, 16, 1), np.uint8)
    array[:, 4:12] = 255
    assert (Transform((8, 8), "crop", 1).apply(array) == 255).all()
    half = Transform((4, 4), "crop", 1).apply(array)  # the filter sees a little of the black beyond the frame
    assert (half[:, 1:3] > 250).all() and (half > 200).all()


def test_crop_of_a_plain_cut_keeps_pixels():
    array = np.random.default_rng(1).integers(0, 256, (8, 12, 3), np.uint8)
    assert np.array_equal(Transform((8, 8)).apply(array), array[:, 2:10])


@pytest.mark.parametrize(("alpha", "fill"), [("white", 255), ("black", 0)])
def test_pad_fills_with_the_alpha_colour(alpha, fill):
    got = Transform((8, 8), "pad", 1, alpha).apply(np.full((4, 8, 1), 100, np.uint8))
    assert (got[:2] == fill).all() and (got[6:] == fill).all() and (got[2:6] == 100).all()


def test_pad_of_kept_alpha_is_transparent():
    got = Transform((8, 8), "pad", 4, "keep").apply(np.full((4, 8, 3), 100, np.uint8))
    assert (got[:2] == 0).all()
    assert (got[2:6] == [100, 100, 100, 255]).all()


def test_stretch_uses_all_of_the_image():
    array = np.repeat(np.array([0, 255], np.uint8), 8)[None, :, None].repeat(4, 0)
    got = Transform((4, 4), "stretch", 1).apply(array)[0, :, 0]
    assert got[0] < 16 and got[-1] > 239


def test_shrinking_averages_and_does_not_alias():
    checks = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)[..., None]
    got = Transform((8, 8), "crop", 1).apply(checks)
    assert np.abs(got.astype(int) - 127).max() <= 8


@pytest.mark.parametrize(("alpha", "expected"), [("white", [255, 255, 255]), ("black", [0, 0, 0])])
def test_transparent_pixels_take_the_colour(alpha, expected):
    array = np.zeros((2, 2, 4), np.uint8)
    array[..., 0] = 200
    array[0, 0, 3] = 255
    got = Transform((2, 2), "crop", 3, alpha).apply(array)
    assert got[0, 0].tolist() == [200, 0, 0]
    assert got[1, 1].tolist() == expected


def test_half_transparent_is_mixed():
    array = np.array([[[0, 0, 0, 128]]], np.uint8)
    assert np.abs(Transform((1, 1)).apply(array).astype(int) - 127).max() <= 1


def test_hidden_colour_does_not_leak_at_edges():
    """Red that is fully transparent must not tint its neighbours when the image shrinks."""
    array = np.zeros((8, 8, 4), np.uint8)
    array[:, :4] = [255, 0, 0, 0]
    array[:, 4:] = [0, 0, 255, 255]
    white = Transform((3, 3)).apply(array)
    assert np.array_equal(white[..., 0], white[..., 1])
    kept = Transform((3, 3), "crop", 4, "keep").apply(array)
    assert (kept[kept[..., 3] > 8][:, 0] <= 2).all()


def test_grey_of_colour_is_luma():
    got = Transform((1, 1), "crop", 1).apply(np.array([[[255, 0, 0]]], np.uint8))
    assert got.item() == 76  # ITU-R 601: 0.299 * 255


@pytest.mark.parametrize("array", [np.zeros((2, 2), np.uint8), np.zeros((2, 2, 2), np.uint8), np.zeros((2, 2, 3))])
def test_refuses_other_arrays(array):
    with pytest.raises(ValueError, match="Transform: array must be uint8"):
        Transform((4, 4)).apply(array)
