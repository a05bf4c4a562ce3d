"""`fastgan verify`: is what lies on disk what was written?"""

from pathlib import Path
from typing import Annotated

import typer

from fastgan.cli.console import emit, progress_bar
from fastgan.synth import Report
from fastgan.synth import verify as verify_folder


def verify(
    path: Annotated[Path, typer.Argument(help="A generated set or a run folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result, with every problem, as JSON.")] = False,
) -> None:
    """Check a generated set or a run against what was recorded.

    Everything is read back; exit 1 if anything is wrong.

    Example: fastgan verify runs/digits
    """
    with progress_bar("verifying") as progress:
        report = verify_folder(path, progress=progress)
    emit(_sentence(report), _payload(report), as_json)
    if not report.ok:
        raise typer.Exit(1)


def _sentence(report: Report) -> str:
    unit = "images" if report.kind == "generated set" else "checkpoints"
    if report.ok:
        return f"{report.path}: {report.kind} is whole, {report.checked:,} {unit} checked"
    more = f" ({len(report.problems) - 1:,} more)" if len(report.problems) > 1 else ""
    return f"{report.path}: {report.kind} is damaged: {report.problems[0]}{more}; {report.checked:,} {unit} are whole"


def _payload(report: Report) -> dict:
    return {
        "path": str(report.path),
        "kind": report.kind,
        "ok": report.ok,
        "checked": report.checked,
        "problems": report.problems,
    }
