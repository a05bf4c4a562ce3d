"""A result as one HTML file that loads nothing: bars in the tables, conditions, and what was refused."""

from pathlib import Path
from typing import Any

import jinja2
from fastgan.bench.engines import OURS, is_ours
from fastgan.bench.race import Record
from fastgan.bench.report import by_case, conditions, ordered

_TEMPLATES = Path(__file__).parent
_IN_ORDER = ("memory", "generate", "gpu-model")
_UNITS = {
    "memory": "MB above the state before the step",
    "gpu-model": "predicted floor in ms",
}
_TIMED = (
    "Engines took turns; medians over rounds, with the 20th and 80th percentile. Every engine’s output was held "
    "against float64 before it was timed. More than 1 of the roofline takes fewer multiplications than direct "
    "convolution has."
)
_PREDICTED = (
    "Predicted from data sheets and from the operators that a step runs. Nothing was timed, nothing ran on a GPU."
)


def page(result: dict[str, Any]) -> str:
    """The page as text."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    drawn = [record for record in result["records"] if "kernels" not in record.get("predicted", {})]
    tables = [_table(title, records) for title, records in by_case(drawn).items()]
    return environment.get_template("page.html").render(
        suite=result["suite"],
        protocol=_PREDICTED if result["suite"] == "gpu-model" else _TIMED,
        conditions=conditions(result["machine"]).splitlines(),
        tables=tables,
        notes=result["notes"],
        interrupted=result["interrupted"],
        sentence=sentence(result["records"]),
    )


def sentence(records: list[Record]) -> str | None:
    """How fastgan stands against the best peer over all cases, best and worst."""
    ratios = sorted(
        (record["ratio_to_best_peer"], f"{record['suite']}, {record['case']}, batch {record['batch']}", record)
        for record in records
        if record["backend"] == OURS
        and record["suite"] not in ("generate", "memory", "gpu-model")
        and record["waiting"] == "passive"
        and record["ratio_to_best_peer"]
    )
    if not ratios:
        return None
    (low, worst, slow), (high, best, fast) = ratios[0], ratios[-1]
    said = f"fastgan runs at {high:.2f} times the speed of the best peer ({fast['best_peer']}; {best})"
    if len(ratios) > 1:
        said += f", and at {low:.2f} times where it does worst ({slow['best_peer']}; {worst})"
    return said + "."


def _table(title: str, records: list[Record]) -> dict[str, Any]:
    suite = records[0]["suite"]
    rows = records if suite in _IN_ORDER else ordered(records)
    values = [_value(record) for record in rows]
    top = max((value for value in values if value), default=1)
    return {
        "title": title,
        "unit": "MB read and written" if _is_list(records) else _UNITS.get(suite, "images per second"),
        "value": "Predicted" if suite == "gpu-model" else "Median",
        "against": "of memory" if suite == "generate" else "of the best peer",
        "rows": [_row(record, value, top) for record, value in zip(rows, values, strict=True)],
    }


def _is_list(records: list[Record]) -> bool:
    return "list" in records[0].get("predicted", {})


def _value(record: Record) -> float | None:
    if predicted := record.get("predicted"):
        return 1e3 * predicted["floor_seconds"] if "floor_seconds" in predicted else predicted["bytes"] / 1e6
    if record.get("bytes"):
        transient = record["bytes"]["transient"]
        return transient / 1e6 if transient else None
    return record["img_per_s"]["p50"] if record["img_per_s"] else None


def _row(record: Record, value: float | None, top: float) -> dict[str, Any]:
    speed, share, ratio = record["img_per_s"], record["roofline_fraction"], record["ratio_to_best_peer"]
    generate = record["suite"] == "generate"
    if record["suite"] in ("memory", "gpu-model") and ratio:
        ratio = 1 / ratio  # bytes or time as a share of the peer's
    return {
        "name": record["case"] if generate else record["backend"],
        "ours": is_ours(record["backend"]) and not generate,
        "refused": None if value is not None else record["refused"] or "not measured",
        "value": "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}",
        "spread": f"{speed['p20']:.4g} to {speed['p80']:.4g}" if speed else "",
        "ratio": f"{ratio:.2f}" if ratio else "",
        "roofline": f"{share:.2f}" if share else "",
        "error": f"{record['max_rel_err']:.0e}" if record["max_rel_err"] is not None else "",
        "bar": round(100 * (value or 0) / top, 2),
    }
