"""PNG bytes of one image and back."""

import io
from typing import IO

import numpy as np
from PIL import Image

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def encode_png(image: np.ndarray, level: int) -> bytes:
    """uint8 [H, W, C] with 1 to 4 channels as a PNG file, compressed at zlib level 0 to 9."""
    buffer = io.BytesIO()
    pixels = image[:, :, 0] if image.shape[2] == 1 else image
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=level)
    return buffer.getvalue()


def decode_png(file: IO[bytes], size: tuple[int, int], channels: int) -> np.ndarray:
    """The pixels of a PNG file: uint8 [H, W, C].

    The size is checked before anything is unpacked.

    Raises:
        ValueError: it is no whole PNG file, or not of this size and mode.
    """
    try:
        with Image.open(file, formats=("PNG",)) as image:
            if (image.height, image.width) != tuple(size) or image.mode != MODES[channels]:
                raise ValueError(
                    f"expected {size[0]}x{size[1]} pixels of mode {MODES[channels]}, "
                    f"got {image.height}x{image.width} of mode {image.mode}"
                )
            return np.asarray(image).reshape(*size, channels)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"not a whole PNG file ({error})") from None
