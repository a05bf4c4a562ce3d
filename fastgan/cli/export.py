"""`fastgan export`: the averaged generator of a run as one file, for fastgan, ONNX or torch."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from fastgan.cli.console import emit
from fastgan.frozen import FORMATS, freeze
from fastgan.frozen import export as export_frozen
from fastgan.reference.frozen_generator import OUTPUTS
from fastgan.run import Run


def export(
    run: Annotated[Path, typer.Argument(help="The run folder that `fastgan train` printed.")],
    file_format: Annotated[
        Literal[tuple(FORMATS)],
        typer.Option("--format", help="fastgan.frozen.load's file, an ONNX model, or torch.export's program."),
    ] = "fastgan",
    out: Annotated[
        Path | None, typer.Option(help="The file to write. [default: RUN/export/generator with the format's suffix]")
    ] = None,
    output: Annotated[
        Literal[OUTPUTS],
        typer.Option(help="What it gives: images in [-1, 1], N x C x H x W, or pixels, N x H x W x C."),
    ] = "float",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Write the generator of a run as one file.

    It is frozen: batch norms are folded, nothing can be trained. ONNX models and torch programs are run and compared
    before they are written.

    Example: fastgan export runs/digits
    """
    opened = Run.open(run)
    path = out or opened.path / "export" / f"generator{FORMATS[file_format]}"
    done = export_frozen(freeze(opened.load_generator(), output), path, file_format, overwrite=overwrite)
    payload = {
        "path": str(done.path),
        "format": done.format,
        "output": output,
        "bytes": done.bytes,
        "max_difference": done.max_difference,
    }
    checked = "" if file_format == "fastgan" else f", at most {done.max_difference:.2g} from the generator's images"
    emit(f"{done.path} ({done.bytes / 1e6:.1f} MB{checked})", payload, as_json)
