"""Every kind of file a user may have, decoded to the right 8-bit pixels; the rest refused with a reason."""

import io
import struct
import warnings

import numpy as np
import pytest
from PIL import Image
from support.images import bomb_png, picture, png, save

from fastgan.data.decode import BadImage, decode, probe
from fastgan.data.limits import Limits


def _decode(path):
    with open(path, "rb") as file:
        return decode(file)


def _probe(path):
    with open(path, "rb") as file:
        return probe(file)


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.jpg"])
@pytest.mark.parametrize("channels", [1, 3])
def test_formats(tmp_path, name, channels):
    array = picture(1, 16, 24, channels)
    options = (
        {"lossless": True}
        if name.endswith("webp")
        else {"quality": 100, "subsampling": 0}
        if name.endswith("jpg")
        else {}
    )
    path = save(tmp_path / name, array, **options)
    got = np.asarray(_decode(path).convert("L" if channels == 1 else "RGB")).reshape(array.shape)
    assert np.abs(got.astype(int) - array).max() <= (12 if name.endswith("jpg") else 0)
    header = _probe(path)
    assert (header.height, header.width) == (16, 24)
    assert not header.alpha
    if not name.endswith("webp"):  # WebP has no grey mode
        assert header.grey == (channels == 1)


def test_16_bit_grey_is_scaled_not_cut(tmp_path):
    values = np.array([[0, 128, 129, 257, 32768, 65534, 65535, 1000]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    got = np.asarray(_decode(tmp_path / "a.png"))
    assert got.tolist() == [[0, 0, 1, 1, 128, 255, 255, 4]]
    assert _probe(tmp_path / "a.png").grey


def test_16_bit_rgb_keeps_white_white(tmp_path):
    row = struct.pack(">6H", 65535, 0, 32896, 65535, 65535, 65535)
    image = _decode(png(tmp_path / "a.png", 2, 1, depth=16, colour=2, row=row))
    assert np.asarray(image).tolist() == [[[255, 0, 128], [255, 255, 255]]]


def test_16_bit_grey_with_a_transparent_value(tmp_path):
    Image.fromarray(np.array([[0, 500, 65535]], np.uint16)).save(tmp_path / "a.png", transparency=500)
    image = _decode(tmp_path / "a.png")
    assert image.mode == "LA"
    assert np.asarray(image)[0, :, 1].tolist() == [255, 0, 255]
    assert _probe(tmp_path / "a.png").alpha


def test_1_bit(tmp_path):
    Image.fromarray(np.array([[0, 255, 255]], np.uint8)).convert("1").save(tmp_path / "a.png")
    assert np.asarray(_decode(tmp_path / "a.png")).tolist() == [[0, 255, 255]]


def test_palette(tmp_path):
    image = Image.fromarray(picture(2, 8, 8)).quantize(16)
    image.save(tmp_path / "a.png")
    assert np.array_equal(np.asarray(_decode(tmp_path / "a.png")), np.asarray(image.convert("RGB")))
    assert not _probe(tmp_path / "a.png").grey


def test_grey_palette_counts_as_grey(tmp_path):
    image = Image.fromarray(np.arange(4, dtype=np.uint8)[None], "P")
    image.putpalette([v for level in (0, 80, 160, 255) for v in (level,) * 3])
    image.save(tmp_path / "a.png")
    assert _probe(tmp_path / "a.png").grey


def test_palette_with_transparency(tmp_path):
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.save(tmp_path / "a.png", transparency=1)
    got = _decode(tmp_path / "a.png")
    assert got.mode == "RGBA"
    assert np.asarray(got)[0].tolist() == [[255, 0, 0, 255], [0, 255, 0, 0], [0, 0, 255, 255]]
    assert _probe(tmp_path / "a.png").alpha


def test_rgb_with_a_transparent_colour(tmp_path):
    array = np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8)
    Image.fromarray(array).save(tmp_path / "a.png", transparency=(0, 255, 0))
    assert np.asarray(_decode(tmp_path / "a.png"))[0, :, 3].tolist() == [255, 0]


def test_grey_alpha(tmp_path):
    Image.fromarray(np.array([[[10, 0], [20, 255]]], np.uint8), "LA").save(tmp_path / "a.png")
    assert _decode(tmp_path / "a.png").mode == "LA"
    header = _probe(tmp_path / "a.png")
    assert header.grey and header.alpha


def test_cmyk_jpeg(tmp_path):
    rgb = Image.new("RGB", (16, 16), (200, 30, 40))
    rgb.convert("CMYK").save(tmp_path / "a.jpg", quality=100)
    got = _decode(tmp_path / "a.jpg")
    assert got.mode == "RGB"
    assert np.abs(np.asarray(got).astype(int) - [200, 30, 40]).max() <= 4
    assert not _probe(tmp_path / "a.jpg").grey


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation):
    upright = Image.fromarray(picture(3, 8, 16))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Image.Transpose that a reader's turn undoes
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.jpg", exif=exif, quality=100, subsampling=0)
    assert _decode(tmp_path / "a.jpg").size == (16, 8)
    assert np.abs(np.asarray(_decode(tmp_path / "a.jpg")).astype(int) - np.asarray(upright)).max() <= 12
    assert (_probe(tmp_path / "a.jpg").height, _probe(tmp_path / "a.jpg").width) == (8, 16)


@pytest.mark.parametrize("content", ["PNG", "WEBP"])
def test_a_jpg_by_name_with_alpha_inside_is_read_by_content(tmp_path, content):
    array = picture(4, 8, 8, 4)
    path = save(tmp_path / "a.jpg", array, content, **({"lossless": True, "exact": True} if content == "WEBP" else {}))
    assert np.array_equal(np.asarray(_decode(path)), array)
    assert _probe(path).alpha


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.fromarray(picture(seed, 8, 8)) for seed in (5, 6)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    assert np.array_equal(np.asarray(_decode(tmp_path / "a.webp").convert("RGB")), np.asarray(frames[0]))


def test_text_named_png(tmp_path):
    (tmp_path / "a.png").write_text("not at all an image, only text")
    with pytest.raises(BadImage, match=r"^not a PNG, JPEG or WebP image$"):
        _decode(tmp_path / "a.png")


def test_empty_file(tmp_path):
    (tmp_path / "a.png").touch()
    with pytest.raises(BadImage, match="empty file"):
        _probe(tmp_path / "a.png")


@pytest.mark.parametrize("image_format", ["GIF", "BMP", "TIFF", "PPM"])
def test_other_formats_are_never_parsed(tmp_path, image_format):
    save(tmp_path / "a.png", picture(7), image_format)
    with pytest.raises(BadImage, match="not a PNG"):
        _decode(tmp_path / "a.png")


def test_bomb_is_refused_from_its_header_without_a_warning(tmp_path):
    path = bomb_png(tmp_path / "bomb.png")
    assert path.stat().st_size < 1_000_000
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(BadImage, match=r"30,000 x 30,000 pixels, more than the limit of 64 million"):
            _decode(path)


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP"])
def test_limit_counts_pixels(image_format):
    file = io.BytesIO()
    Image.new("RGB", (10, 11)).save(file, image_format)
    assert probe(io.BytesIO(file.getvalue()), Limits(pixels=110)).width == 10
    with pytest.raises(BadImage, match="10 x 11 pixels"):
        probe(io.BytesIO(file.getvalue()), Limits(pixels=109))


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP"])
def test_every_truncation_is_refused_or_whole(image_format):
    """No cut of a file gives other pixels, hangs, or raises anything but BadImage."""
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)).save(file, image_format)
    whole = file.getvalue()
    expected = np.asarray(decode(io.BytesIO(whole)))
    refused = 0
    for cut in range(0, len(whole), 7):
        try:
            got = decode(io.BytesIO(whole[:cut]))
        except BadImage as error:
            refused += "\n" not in str(error)
        else:
            assert np.array_equal(np.asarray(got), expected), cut
    assert refused > 0.9 * len(range(0, len(whole), 7))
