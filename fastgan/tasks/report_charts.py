"""The charts of a report, from the rows of metrics.jsonl and the record of a study."""

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from fastgan.run import Run
from fastgan.tasks.figures import BOTH, FAKE, INK, MUTED, REAL, accuracy_chart, line_chart
from fastgan.tasks.verdict import ARMS

_ARM_COLOURS = dict(zip(ARMS, (REAL, BOTH, FAKE), strict=True))
_LOG_FROM = 8.0  # ratio of the largest to the smallest value from which a logarithmic axis shows more
_POINTS = 400  # a curve of more rows is averaged down to this many


@dataclass(frozen=True)
class Chart:
    """A picture, the line above it, and the sentence below it; `caption` may hold coloured words."""

    title: str
    svg: Markup
    caption: Markup


def charts(run: Run) -> list[Chart]:
    """KID, losses and what the discriminator thinks, as far as the run recorded them."""
    rows = run.metrics()
    kid = [row for row in rows if "kid" in row]
    steps = _thinned([row for row in rows if "d_loss" in row])
    return [
        *([_kid_chart(kid)] if kid else []),
        *([_loss_chart(steps), _sign_chart(steps), _speed_chart(steps)] if steps else []),
    ]


def study_chart(study: dict[str, Any]) -> str:
    """Accuracies of all arms with their intervals."""
    rows = [
        (arm, _ARM_COLOURS[arm], row["by_seed"], row["accuracy"]["low"], row["accuracy"]["high"])
        for arm, row in study["arms"].items()
    ]
    return accuracy_chart(rows, label="Test accuracy of the classifier by training images")


def _kid_chart(rows: list[dict[str, Any]]) -> Chart:
    mean = [row["kid"] for row in rows]
    low = [row["kid"] - row["kid_std"] for row in rows]
    high = [row["kid"] + row["kid_std"] for row in rows]
    floor = rows[-1]["kid_floor"]
    log = min(*mean, floor) > 0 and max(mean) > _LOG_FROM * min(*mean, floor)
    if log:
        low = [max(value, min(*mean, floor) / 4) for value in low]
    best = min(rows, key=lambda row: row["kid"])
    svg = line_chart(
        [row["images"] for row in rows],
        [(FAKE, mean)],
        label="KID against images shown in training",
        band=(low, high),
        level=floor,
        log=log,
    )
    return Chart(
        "KID, lower is better",
        Markup(svg),
        Markup(
            '<span class="fake">Synthetic images</span> against {count} validation images, ± one standard '
            'deviation over subsets; dashed, <span class="real">training images</span> against the same '
            "({floor}). Best: {best} at {images} images shown. Features: {name}, {sha}."
        ).format(
            count=f"{rows[-1]['kid_images']:,}",
            floor=f"{floor:.4f}".replace("-", "−"),
            best=f"{best['kid']:.4f}".replace("-", "−"),
            images=f"{best['images']:,}",
            name=best["features"]["name"],
            sha=best["features"]["sha256"][:12],
        ),
    )


def _loss_chart(rows: list[dict[str, Any]]) -> Chart:
    svg = line_chart(
        [row["images"] for row in rows],
        [(INK, [row["d_loss"] for row in rows]), (MUTED, [row["g_loss"] for row in rows])],
        label="Losses against images shown in training",
    )
    caption = Markup(
        '<span class="ink">Discriminator</span> and <span class="muted">generator</span>. Losses of a GAN '
        "do not fall as images get better; look for calm."
    )
    return Chart("Losses", Markup(svg), caption)


def _sign_chart(rows: list[dict[str, Any]]) -> Chart:
    svg = line_chart(
        [row["images"] for row in rows],
        [(REAL, [row["real_sign_rate"] for row in rows]), (FAKE, [row["fake_sign_rate"] for row in rows])],
        label="Share of images the discriminator takes for real",
        limits=(-0.02, 1.02),
    )
    caption = Markup(
        'Share of <span class="real">real</span> and <span class="fake">synthetic</span> images with a '
        "logit above 0. Two lines at 1 and 0 mean that the discriminator has won."
    )
    return Chart("What the discriminator takes for real", Markup(svg), caption)


def _speed_chart(rows: list[dict[str, Any]]) -> Chart:
    rates = [row["img_per_s"] for row in rows]
    svg = line_chart(
        [row["images"] for row in rows],
        [(INK, rates)],
        label="Training speed in images per second",
        limits=(0, 1.1 * max(rates)),
    )
    caption = Markup("Both networks updated once a step; measuring KID and writing checkpoints left out.")
    return Chart("Training speed, images per second", Markup(svg), caption)


def _thinned(rows: list[dict[str, Any]]) -> list[dict[str, float]]:
    """At most `_POINTS` rows, each the mean of equally many consecutive ones."""
    size = -(-len(rows) // _POINTS) if rows else 1
    names = ("images", "d_loss", "g_loss", "real_sign_rate", "fake_sign_rate", "img_per_s")
    groups = [rows[i : i + size] for i in range(0, len(rows), size)]
    return [{name: sum(row[name] for row in group) / len(group) for name in names} for group in groups]
