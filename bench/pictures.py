"""The pictures of a result: one PNG a suite, a panel a case, a bar an engine."""

import io
from typing import Any

from fastgan.bench.engines import is_ours
from fastgan.bench.race import Record
from fastgan.bench.report import by_case, ordered
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_INK, _MUTED, _RULE, _PAPER, _OURS, _PEER = "#22211e", "#6b6860", "#dedad0", "#fbfaf7", "#b8500f", "#9aa7b2"
_WIDTH, _ROW = 8.0, 0.27  # inches
_PANELS = 12  # more would be a wall; results.json has them all


def pictures(result: dict[str, Any]) -> dict[str, bytes]:
    """PNG files by name; none for a suite without speeds."""
    suites: dict[str, list[Record]] = {}
    for record in result["records"]:
        if record["img_per_s"] and record["waiting"] == "passive":
            suites.setdefault(record["suite"], []).append(record)
    return {f"{suite}.png": _png(by_case(records)) for suite, records in suites.items()}


def _png(groups: dict[str, list[Record]]) -> bytes:
    groups = dict(list(groups.items())[:_PANELS])
    heights = [len(records) + 1.6 for records in groups.values()]
    figure = Figure(figsize=(_WIDTH, _ROW * sum(heights) + 0.3), layout="constrained", facecolor=_PAPER)
    panels = figure.subplots(len(groups), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (title, records) in zip(panels, groups.items(), strict=True):
        _panel(axes, title, records)
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=144, metadata={"Software": None})
    return buffer.getvalue()


def _panel(axes: Axes, title: str, records: list[Record]) -> None:
    records = records if records[0]["suite"] == "generate" else ordered(records)
    top = max(record["img_per_s"]["p80"] for record in records)
    for row, record in enumerate(records):
        speed = record["img_per_s"]
        ours = is_ours(record["backend"])
        axes.barh(row, speed["p50"], height=0.72, color=_OURS if ours else _PEER)
        axes.plot([speed["p20"], speed["p80"]], [row, row], color=_INK, linewidth=1.2, alpha=0.7)
        axes.text(
            max(speed["p50"], speed["p80"]) + 0.01 * top,
            row,
            label(speed["p50"]),
            va="center",
            fontsize=8,
            color=_INK,
        )
    axes.set_title(f"{title}: images per second", loc="left", fontsize=9, color=_INK)
    axes.set_yticks(range(len(records)), [name_of(record) for record in records], fontsize=8, color=_INK)
    axes.set_ylim(len(records) - 0.5, -0.5)
    axes.set_xlim(0, 1.12 * top)
    axes.tick_params(axis="x", labelsize=7, labelcolor=_MUTED, color=_RULE)
    axes.tick_params(axis="y", length=0)
    axes.set_facecolor(_PAPER)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.spines["left"].set_color(_RULE)


def name_of(record: Record) -> str:
    """What a row is called: the engine, or the way to disk."""
    return record["case"] if record["suite"] == "generate" else record["backend"]


def label(speed: float) -> str:
    """Three digits, and no fewer than the integer part has."""
    return f"{speed:,.0f}" if speed >= 100 else f"{speed:.3g}"
