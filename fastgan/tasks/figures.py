"""The pictures of a report: charts as SVG that follows the page's colours and fonts, image strips as PNG."""

import base64
import io
import re
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from PIL import Image

# Colours that stand for the page's CSS variables; no chart uses them for anything else.
INK, MUTED, RULE, REAL, FAKE, BOTH = (f"#0{i}0{i}0{i}" for i in range(1, 7))
_VARIABLES = {INK: "ink", MUTED: "muted", RULE: "rule", REAL: "real", FAKE: "fake", BOTH: "both"}

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "fastgan",
    "font.size": 10.5,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
    "lines.linewidth": 1.6,
}
_CHART_INCHES = (5.3, 2.9)
_STRIP_PIXELS = 96  # least side of an image in a strip; small images are enlarged by whole factors
_STRIP_GAP = 6


def line_chart(
    x: Sequence[float],
    lines: Sequence[tuple[str, Sequence[float]]],
    *,
    label: str,
    limits: tuple[float, float] | None = None,
    band: tuple[Sequence[float], Sequence[float]] | None = None,
    level: float | None = None,
    log: bool = False,
) -> str:
    """An SVG of `lines`, each (colour, values), over images shown.

    `band` is (low, high) around the first line; `level` a dashed line in the colour of real images; `label`
    describes the picture to readers who cannot see it.
    """
    with matplotlib.rc_context(_STYLE):
        figure, axes = _axes(_CHART_INCHES)
        if band is not None:
            axes.fill_between(x, *band, color=lines[0][0], alpha=0.18, linewidth=0)
        for colour, values in lines:
            axes.plot(x, values, color=colour, marker="." if len(x) < 3 else None)
        if level is not None:
            axes.axhline(level, color=REAL, linestyle=(0, (4, 3)), linewidth=1.4)
        if limits is not None:
            axes.set_ylim(*limits)
        if log:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        else:
            axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
        axes.set_xlabel("real images shown in training")
        return _svg(figure, label)


def accuracy_chart(rows: Sequence[tuple[str, str, Sequence[float], float | None, float | None]], *, label: str) -> str:
    """An SVG with a row (name, colour, accuracies by seed, low, high) per arm: dots, mean and interval."""
    with matplotlib.rc_context({**_STYLE, "axes.grid.axis": "x"}):
        figure, axes = _axes((_CHART_INCHES[0], 0.55 * len(rows) + 0.6))
        for row, (_, colour, values, low, high) in enumerate(rows):
            percent = 100 * np.asarray(values)
            axes.plot(percent, np.full(len(percent), row), "o", color=colour, alpha=0.35, markersize=5, mew=0)
            if low is not None and high is not None:
                axes.plot([100 * low, 100 * high], [row, row], color=colour, linewidth=2.2)
            axes.plot([percent.mean()], [row], "|", color=colour, markersize=15, mew=2.4)
        axes.set_yticks(range(len(rows)), [row[0] for row in rows])
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.set_xlabel("accuracy on test images, %")
        return _svg(figure, label)


def strip(images: np.ndarray, columns: int) -> str:
    """A PNG of uint8 [N, H, W, C] in rows of `columns` as a data: URL."""
    count, height, width, channels = images.shape
    rows = -(-count // columns)
    factor = max(1, -(-_STRIP_PIXELS // max(height, width)))
    height, width, gap = height * factor, width * factor, _STRIP_GAP
    sheet = Image.new("RGBA", (columns * (width + gap) - gap, rows * (height + gap) - gap), (0, 0, 0, 0))
    for i, image in enumerate(images):
        mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
        tile = Image.fromarray(image[..., 0] if channels == 1 else image, mode)
        tile = tile.convert("RGBA").resize((width, height), Image.Resampling.NEAREST)
        sheet.paste(tile, ((i % columns) * (width + gap), (i // columns) * (height + gap)))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _axes(inches: tuple[float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=inches, layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    axes.set_axisbelow(True)
    return figure, axes


def _short(value: float) -> str:
    if value >= 1e6:
        return f"{value / 1e6:g} M"
    return f"{value / 1e3:g} k" if value >= 1e3 else f"{value:g}"


def _svg(figure: Figure, label: str) -> str:
    """The figure as an <svg> element: no header, size from its container, colours and font from the page."""
    out = io.StringIO()
    FigureCanvasSVG(figure).print_svg(out, metadata={"Date": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) (?:width|height)="[^"]*"', r"\1", text)
    text = re.sub(r'(<svg[^>]*?) (?:width|height)="[^"]*"', r"\1", text)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)  # inside HTML the parser knows them
    text = re.sub(r'font-family: [^;"]*;? ?', "", text)
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r' id="[A-Za-z0-9.]+_\d+"', "", text)  # ids that several charts of a page would share
    for colour, name in _VARIABLES.items():
        text = text.replace(colour, f"var(--{name})")
    return text.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
