"""One page about a run: its images, its curves, its speed and the verdict, in a single HTML file."""

import re
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from fastgan.device import resolve_device
from fastgan.files import write_bytes
from fastgan.progress import Progress, silent
from fastgan.run import Run
from fastgan.tasks import report_facts as facts
from fastgan.tasks.gallery import Gallery, gallery
from fastgan.tasks.report_charts import charts, study_chart
from fastgan.tasks.report_facts import Generated
from fastgan.tasks.verdict import read_study

REPORT_FILE = "report.html"
_TEMPLATES = Path(__file__).parent


def write_report(
    run: str | Path | Run,
    out: str | Path | None = None,
    *,
    data: str | Path | None = None,
    device: str = "auto",
    precision: str = "fp32",
    generated: Generated | None = None,
    notes: tuple[str, ...] = (),
    progress: Progress = silent,
) -> Path:
    """Write the report of `run` and return its path, RUN/report.html unless `out` says otherwise.

    The file holds everything it shows: it opens offline and loads nothing. Sections whose material is missing
    (a study that was not made, KID that was not measured, real images that moved) say so in a sentence.

    Args:
        run: a run folder, or a `Run`.
        out: the file to write.
        data: where the run's images are now; None looks where the run found them.
        device: where the generator runs: auto, cpu or cuda.
        precision: of its layers: fp32, bf16 or fp16.
        generated: the set that was written from this run, for its speed and command.
        notes: sentences to put under the title.
        progress: receives the steps of collecting.

    Raises:
        RunError: not a run, or it has no whole checkpoint.
        ValueError: an unknown precision, or a device that is not there.
        OSError: the file cannot be written.
    """
    run = run if isinstance(run, Run) else Run.open(run)
    out = Path(out) if out is not None else run.path / REPORT_FILE
    study = read_study(run)
    progress(0, 3, "images")
    where = resolve_device(device)
    pictures: Gallery = gallery(run, data, device=where, precision=precision)
    progress(1, 3, "speed")
    speed = facts.throughput(run, generated, where, precision)
    progress(2, 3, "charts")
    page = (
        _environment()
        .get_template("report.html")
        .render(
            title=f"{facts.data_name(run)} · fastgan",
            run=run,
            name=facts.data_name(run),
            notes=notes,
            facts=facts.header(run),
            gallery=pictures,
            study=study,
            study_chart=Markup(study_chart(study)) if study else None,
            charts=charts(run),
            kid=facts.kid_summary(run),
            speed=speed,
            commands=facts.commands(run, study, generated, out, data=data, device=device, precision=precision),
            remarks=facts.remarks(run),
            licence=facts.data_licence(run),
            versions=facts.versions_line(run),
            weights=run.weights_sha256(),
        )
    )
    write_bytes(out, page.encode())
    progress(3, 3, "")
    return out


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["thousands"] = lambda value: f"{value:,}"
    environment.filters["percent"] = lambda value: f"{100 * value:.2f}"
    environment.filters["points"] = lambda value: f"{100 * value:+.2f}".replace("-", "\u2212")
    environment.filters["interval"] = _interval
    environment.filters["minus"] = lambda text: re.sub(r"(?<!\w)-(?=\d)", "\u2212", text)
    return environment


def _interval(value: dict[str, Any], signed: bool = False) -> str:
    if value["low"] is None:
        return "one seed: none"
    form = "+.2f" if signed else ".2f"
    text = f"{100 * value['low']:{form}} to {100 * value['high']:{form}}"
    return text.replace("-", "\u2212")
