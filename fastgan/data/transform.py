"""The fixed road from an image of any size to the [H, W, C] that a model sees; stored in the run as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image

from fastgan.data.decode import eight_bit

Fit = Literal["crop", "pad", "stretch"]
Alpha = Literal["keep", "white", "black"]
FITS: tuple[Fit, ...] = ("crop", "pad", "stretch")
ALPHAS: tuple[Alpha, ...] = ("keep", "white", "black")
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def _choice(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed or isinstance(value, bool):
        raise ValueError(f"Transform: {name} must be one of {', '.join(map(str, allowed))}, got {value!r}")


@dataclass(frozen=True)
class Transform:
    """Resize, channels and alpha, in that meaning for every image of a set.

    Args:
        size: (height, width) in pixels, each >= 1.
        fit: `crop` scales until the frame is covered and cuts the middle; `pad` scales until the image fits
            and fills the rest with the alpha colour (transparent for `keep`); `stretch` ignores the aspect
            ratio.
        channels: 1 grey, 3 RGB, 4 RGBA.
        alpha: `white` or `black` puts transparent images on that colour; `keep` needs 4 channels, and 4
            channels need `keep`.

    Raises ValueError for anything else. An image that already has the size is never resampled.
    """

    size: tuple[int, int]
    fit: Fit = "crop"
    channels: int = 3
    alpha: Alpha = "white"

    def __post_init__(self) -> None:
        size = tuple(self.size)
        if len(size) != 2 or any(isinstance(s, bool) or int(s) != s or s < 1 for s in size):
            raise ValueError(f"Transform: size must be (height, width), both at least 1, got {self.size!r}")
        object.__setattr__(self, "size", (int(size[0]), int(size[1])))
        _choice("fit", self.fit, FITS)
        _choice("channels", self.channels, tuple(_MODES))
        _choice("alpha", self.alpha, ALPHAS)
        if (self.channels == 4) != (self.alpha == "keep"):
            raise ValueError(
                f"Transform: alpha 'keep' goes with 4 channels and no other number, "
                f"got channels={self.channels}, alpha={self.alpha!r}"
            )

    def to_json(self) -> dict[str, Any]:
        """JSON values that `from_json` turns into an equal Transform."""
        return {**asdict(self), "size": list(self.size)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Transform":
        """Inverse of `to_json`. Raises ValueError for missing, unknown or impossible values."""
        names = set(cls.__dataclass_fields__)
        if not isinstance(value, Mapping) or set(value) != names:
            raise ValueError(f"Transform: JSON must have exactly the keys {', '.join(sorted(names))}, got {value!r}")
        return cls(**value)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C) of every image that `apply` returns."""
        return (*self.size, self.channels)

    def apply(self, image: Image.Image | np.ndarray) -> np.ndarray:
        """Bring one image to `shape`.

        Args:
            image: a Pillow image of any mode, or uint8 [H, W, C] with C in {1, 3, 4}.

        Returns:
            uint8 [H, W, C], C-contiguous. The same input gives the same bytes, whatever the thread.
        """
        if isinstance(image, np.ndarray):
            if image.shape == self.shape and image.dtype == np.uint8:
                return np.ascontiguousarray(image)
            image = to_pillow(image)
        image = self._resize(self._colour(eight_bit(image)))
        return np.ascontiguousarray(np.asarray(image)).reshape(self.shape)

    def _colour(self, image: Image.Image) -> Image.Image:
        """Alpha and channels come before the resize: no hidden colour leaks in at transparent edges."""
        mode = _MODES[self.channels]
        if self.alpha != "keep" and image.mode in ("LA", "RGBA"):
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, self.alpha), image).convert("RGB")
        return image if image.mode == mode else image.convert(mode)

    def _resize(self, image: Image.Image) -> Image.Image:
        height, width = self.size
        w, h = image.size
        if (w, h) == (width, height):
            return image
        if self.fit == "stretch":
            return _resample(image, (width, height), (0, 0, w, h))
        if self.fit == "crop":
            scale = min(w / width, h / height)
            left, top = (w - width * scale) / 2, (h - height * scale) / 2
            return _resample(image, (width, height), (left, top, left + width * scale, top + height * scale))
        scale = min(width / w, height / h)
        inner = (max(1, min(width, round(w * scale))), max(1, min(height, round(h * scale))))
        frame = Image.new(image.mode, (width, height), 0 if self.alpha == "keep" else self.alpha)
        frame.paste(_resample(image, inner, (0, 0, w, h)), ((width - inner[0]) // 2, (height - inner[1]) // 2))
        return frame


def _resample(image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float]) -> Image.Image:
    """`box` of the image at `size` (width, height) by Lanczos; a plain cut where the scale is 1."""
    whole = all(float(b).is_integer() for b in box)
    if whole and (box[2] - box[0], box[3] - box[1]) == size:
        return image.crop(tuple(int(b) for b in box))
    box = (max(0.0, box[0]), max(0.0, box[1]), min(image.width, box[2]), min(image.height, box[3]))
    return image.resize(size, Image.Resampling.LANCZOS, box=box)


def to_pillow(array: np.ndarray) -> Image.Image:
    """uint8 [H, W, C], C in {1, 3, 4}, as a Pillow image of mode L, RGB or RGBA."""
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] not in _MODES:
        raise ValueError(
            f"Transform: array must be uint8 [H, W, C] with C in 1, 3, 4, got {array.dtype} {list(array.shape)}"
        )
    return Image.fromarray(np.ascontiguousarray(array[:, :, 0] if array.shape[2] == 1 else array))
