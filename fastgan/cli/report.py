"""`fastgan report`: a run folder in, one HTML page out."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from fastgan.cli.console import emit, progress_bar
from fastgan.device import DEVICES, PRECISIONS
from fastgan.tasks.report import write_report


def report(
    run: Annotated[Path, typer.Argument(help="The run folder that `fastgan train` printed.")],
    out: Annotated[Path | None, typer.Option(help="The file to write. [default: RUN/report.html]")] = None,
    data: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="Where the run's images are now, if they moved.")
    ] = None,
    device: Annotated[Literal[DEVICES], typer.Option(help="Where the generator runs.")] = "auto",
    precision: Annotated[Literal[PRECISIONS], typer.Option(help="Of its layers.")] = "fp32",
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Write one self-contained page about a run.

    Images by class, curves, speed, and the verdict of the last study.

    Example: fastgan report runs/digits
    """
    with progress_bar("report") as progress:
        path = write_report(run, out, data=data, device=device, precision=precision, progress=progress)
    emit(str(path), {"report": str(path)}, as_json)
