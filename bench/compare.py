"""Two results held against each other: is fastgan slower, or does it need more memory, than it did?"""

from dataclasses import dataclass
from typing import Any

from fastgan.bench.engines import OURS, is_ours
from fastgan.bench.race import Record

RELATIVE = 0.05
ABSOLUTE_SECONDS = 30e-6
ABSOLUTE_BYTES = 1 << 20
_KEY = ("suite", "case", "batch", "waiting", "backend")
_PLACE = {"device": "cpu", "precision": "fp32"}  # with what older results mean that do not say


@dataclass(frozen=True)
class Slack:
    """What counts as noise: a loss must be beyond both, `relative` of the old value and the absolute amount."""

    relative: float = RELATIVE
    seconds: float = ABSOLUTE_SECONDS
    bytes: int = ABSOLUTE_BYTES


@dataclass(frozen=True)
class Comparison:
    """lines: one a case that both results have; regression: the sentence about the first, None if there is none;
    left_out: cases that only one of them has."""

    lines: list[str]
    regression: str | None
    left_out: list[str]


def compare(old: dict[str, Any], new: dict[str, Any], slack: Slack | None = None) -> Comparison:
    """Hold fastgan's own records of two results against each other, in the old one's order.

    A case that had a speed and is refused now is a regression too. Raises ValueError when no case is in both.
    """
    slack = slack or Slack()
    before, after = _ours(old), _ours(new)
    lines, first = [], None
    for key, record in before.items():
        if key not in after:
            continue
        line, bad = _judge(_title(key), record, after[key], slack)
        lines.append(line)
        first = first or (line if bad else None)
    if not lines:
        raise ValueError("compare: the two results have no case of fastgan in common")
    return Comparison(lines, first, [_title(key) for key in {**before, **after} if key not in before.keys() & after])


def _ours(result: dict[str, Any]) -> dict[tuple, Record]:
    return {
        (*(record[name] for name in _KEY), *(record.get(name, value) for name, value in _PLACE.items())): record
        for record in result["records"]
        if is_ours(record["backend"])
    }


def _title(key: tuple) -> str:
    suite, case, batch, waiting, backend, device, precision = key
    named = "" if backend == OURS else f", {backend}"
    place = "" if device == "cpu" else f", {device} {precision}"
    return f"{suite}, {case}, batch {batch}{named}{place}" + (", default waiting" if waiting == "default" else "")


def _judge(title: str, old: Record, new: Record, slack: Slack) -> tuple[str, bool]:
    was, absolute, unit, scale = _cost(old, slack)
    now, *_ = _cost(new, slack)
    if was is None:
        return f"{title}: had no value before", False
    if now is None:
        return f"{title}: {new['refused'] or 'has no value any more'}", True
    worse = now - was
    bad = worse > absolute and worse > slack.relative * was
    said = f"{title}: {was * scale:.3f} {unit} became {now * scale:.3f} {unit} ({100 * worse / was:+.1f}%)"
    return said, bad


def _cost(record: Record, slack: Slack) -> tuple[float | None, float, str, float]:
    """(what should be small, its absolute slack, unit, factor to the unit)."""
    if record.get("bytes"):
        return record["bytes"]["transient"], slack.bytes, "MB", 1e-6
    speed = record["img_per_s"]
    return (record["batch"] / speed["p50"] if speed else None), slack.seconds, "ms", 1e3
