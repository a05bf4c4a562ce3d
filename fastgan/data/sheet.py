"""A contact sheet: one row of images a class, so that a person sees at once whether the labels are right."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fastgan.data.imageset import ImageSet
from fastgan.data.transform import to_pillow

_GAP = 2  # pixels between images
_SMALLEST = 32  # images below this side are enlarged by a whole number, without smoothing


def contact_sheet(images: ImageSet, per_row: int = 12) -> Image.Image:
    """Draw the first `per_row` images of each class, of the whole set in rows where it is unlabelled.

    Returns an RGB image with the class names on the left; transparent pixels are shown on mid-grey.
    """
    rows = _rows(images, per_row)
    height, width = images.transform.size
    scale = max(1, -(-_SMALLEST // max(height, width)))
    cell_h, cell_w = height * scale + _GAP, width * scale + _GAP
    font = ImageFont.load_default(size=14)
    margin = max((round(font.getlength(name)) + 8 for name, _ in rows if name), default=0)
    line = max(cell_h, 18)
    sheet = Image.new("RGB", (margin + per_row * cell_w, len(rows) * line), "white")
    draw = ImageDraw.Draw(sheet)
    for y, (name, positions) in enumerate(rows):
        draw.text((4, y * line + line // 2), name, fill="black", font=font, anchor="lm")
        for x, position in enumerate(positions):
            image = to_pillow(images.images[position]).convert("RGBA")
            image = image.resize((width * scale, height * scale), Image.Resampling.NEAREST)
            image = Image.alpha_composite(Image.new("RGBA", image.size, "grey"), image).convert("RGB")
            sheet.paste(image, (margin + x * cell_w, y * line))
    return sheet


def _rows(images: ImageSet, per_row: int) -> list[tuple[str, np.ndarray]]:
    if images.labels is None:
        shown = np.arange(min(len(images), per_row * 8))
        return [("", shown[i : i + per_row]) for i in range(0, len(shown), per_row)]
    return [(name, np.flatnonzero(images.labels == label)[:per_row]) for label, name in enumerate(images.classes)]
