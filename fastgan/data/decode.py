"""Encoded PNG, JPEG and WebP to upright 8-bit images; the size is checked before anything is decoded."""

from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from fastgan.data.limits import DEFAULT_LIMITS, Limits
from fastgan.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".webp")
_EXIF_ORIENTATION = 0x0112
_GRAY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16B")


class BadImage(DataError):
    """One image that cannot be used; the message is the reason, without the image's name."""


@dataclass(frozen=True)
class Header:
    """What the header alone tells: upright size in pixels, no colour at all, transparency possible."""

    height: int
    width: int
    grey: bool
    alpha: bool


def _plugin(head: bytes) -> type[Image.Image]:
    """The decoder for a file that begins with `head`: by content, never by the file's name."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImagePlugin.PngImageFile
    if head.startswith(b"\xff\xd8\xff"):
        return JpegImagePlugin.JpegImageFile
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WebPImagePlugin.WebPImageFile
    raise BadImage("empty file" if not head else "not a PNG, JPEG or WebP image")


def _open(file: BinaryIO, limits: Limits) -> Image.Image:
    """Read the header of an image and check its size against `limits`; pixels stay encoded."""
    head = file.read(12)
    file.seek(0)
    plugin = _plugin(head)
    try:
        # The three decoders are named instead of Image.open: no other format's parser ever sees the bytes,
        # and Image.open's own bomb check warns on stderr and depends on a global that any library may change.
        image = plugin(file)
    except BadImage:
        raise
    except Exception as error:  # foreign bytes: the parsers raise SyntaxError, OSError, struct.error, ...
        raise BadImage(f"broken {plugin.format} header ({_reason(error)})") from None
    width, height = image.size
    if width * height > limits.pixels:
        raise BadImage(f"{width:,} x {height:,} pixels, more than the limit of {limits.pixels / 1e6:g} million pixels")
    return image


def _reason(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _palette_is_grey(image: Image.Image) -> bool:
    mode, data = image.palette.getdata()
    if mode != "RGB":
        return False
    colours = np.frombuffer(data, np.uint8)
    colours = colours[: colours.size // 3 * 3].reshape(-1, 3)
    return bool((colours == colours[:, :1]).all())


def probe(file: BinaryIO, limits: Limits = DEFAULT_LIMITS) -> Header:
    """Read an image's header. Raises `BadImage` for anything but a PNG, JPEG or WebP within `limits`."""
    image = _open(file, limits)
    width, height = image.size
    try:
        turned = image.getexif().get(_EXIF_ORIENTATION, 1) in (5, 6, 7, 8)
    except Exception:  # a damaged EXIF block is not a damaged image: it is read as "upright"
        turned = False
    if turned:
        width, height = height, width
    grey = _palette_is_grey(image) if image.mode == "P" else image.mode in _GRAY_MODES
    alpha = image.mode in ("LA", "RGBA", "PA") or "transparency" in image.info
    return Header(height, width, grey, alpha)


def decode(file: BinaryIO, limits: Limits = DEFAULT_LIMITS) -> Image.Image:
    """Decode a PNG, JPEG or WebP (its first frame) to an upright image of mode L, LA, RGB or RGBA.

    16-bit grey is rounded to 8 bits by v / 257, palettes are looked up, CMYK becomes RGB, transparency given
    as one colour becomes an alpha channel, the EXIF orientation is applied. Raises `BadImage` with the
    reason: not one of the three formats, more pixels than `limits`, truncated or damaged.
    """
    image = _open(file, limits)
    try:
        image.load()
        image = eight_bit(image)
    except Exception as error:  # as above: foreign bytes
        raise BadImage(f"damaged {image.format or 'image'} ({_reason(error)})") from None
    return image


def eight_bit(image: Image.Image) -> Image.Image:
    """Turn any loaded Pillow image upright and into mode L, LA, RGB or RGBA with 8 bits a channel."""
    try:
        image = ImageOps.exif_transpose(image)
    except Exception:  # see `probe`
        image = image.copy()
    transparency = image.info.get("transparency")
    if image.mode.startswith("I"):
        return _from_16_bit(image, transparency)
    if image.mode in ("LA", "RGB", "RGBA", "L") and transparency is None:
        return image
    if image.mode in ("P", "PA"):
        return image.convert("RGBA" if transparency is not None or image.mode == "PA" else "RGB")
    if image.mode in ("1", "L"):
        return image.convert("L" if transparency is None else "LA")
    if image.mode == "RGB":
        return image.convert("RGBA")
    return image.convert("RGBA" if image.mode in ("RGBa", "La") else "RGB")


def _from_16_bit(image: Image.Image, transparency: int | None) -> Image.Image:
    """16-bit grey to 8 bits: 65535 is white, so the scale is 1/257 and not a shift by 8."""
    values = np.asarray(image).astype(np.int64)
    grey = Image.fromarray(((values + 128) // 257).clip(0, 255).astype(np.uint8))
    if transparency is None:
        return grey
    grey.putalpha(Image.fromarray(np.where(values == transparency, 0, 255).astype(np.uint8)))
    return grey
