"""`fastgan generate`: a run folder in, a set of labelled images on disk out."""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import typer

from fastgan.cli.console import emit, progress_bar
from fastgan.device import DEVICES, PRECISIONS
from fastgan.synth import Outcome, produce
from fastgan.synth.writers import WRITERS


def generate(
    run: Annotated[Path, typer.Argument(help="The run folder that `fastgan train` printed.")],
    n: Annotated[int, typer.Option("--n", min=1, help="Images in the whole set.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the set: new, empty or the same job. [default: RUN/generated/N-seedS]"),
    ] = None,
    file_format: Annotated[
        Literal[tuple(WRITERS)],
        typer.Option("--format", help="PNG files in class folders, tar shards, or NumPy arrays."),
    ] = "imagefolder",
    classes: Annotated[
        str, typer.Option(metavar="balanced|LIST", help="Class names or indices with commas, taken in turn.")
    ] = "balanced",
    seed: Annotated[int, typer.Option(min=0, max=2**64 - 1, help="Key of all randomness.")] = 0,
    part: Annotated[
        str,
        typer.Option(metavar="i/n", help="Write part i of n only, 0/n to n-1/n; parts may run side by side."),
    ] = "0/1",
    device: Annotated[Literal[DEVICES], typer.Option(help="Where the generator runs.")] = "auto",
    precision: Annotated[Literal[PRECISIONS], typer.Option(help="Of its layers.")] = "fp32",
    png_level: Annotated[int, typer.Option(min=0, max=9, help="PNG compression, 0 fast to 9 small.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Write N labelled synthetic images of a run.

    Run the same command again to go on after it was stopped or killed.

    Example: fastgan generate runs/digits --n 10000
    """
    with progress_bar("generating") as progress, _signals() as received:
        outcome = produce(
            run,
            n,
            out,
            format=file_format,
            classes=classes,
            seed=seed,
            part=_parse_part(part),
            device=device,
            precision=precision,
            png_level=png_level,
            progress=progress,
            should_stop=lambda: bool(received),
        )
    emit(_sentence(outcome), _payload(outcome), as_json)
    if outcome.stopped and signal.SIGINT in received:
        raise typer.Exit(130)


def _parse_part(text: str) -> tuple[int, int]:
    index, slash, of = text.partition("/")
    if slash and index.isdecimal() and of.isdecimal() and int(index) < int(of):
        return int(index), int(of)
    raise typer.BadParameter(f"--part must be i/n with 0 <= i < n, such as 0/4 to 3/4, got {text!r}")


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying of them; a second one has its usual effect."""
    received: list[int] = []

    def take(number: int, _frame: object) -> None:
        received.append(number)
        signal.signal(number, before[number])

    before = {number: signal.signal(number, take) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _sentence(outcome: Outcome) -> str:
    have = outcome.kept + outcome.written
    if outcome.stopped:
        return (
            f"stopped: {have:,} of {outcome.total:,} images are in {outcome.out}; run the same command again to go on"
        )
    if outcome.manifest is None:
        return (
            f"this part is complete ({have:,} images in {outcome.out}); {outcome.missing_shards:,} shards of "
            "other parts are missing, and the part that ends last writes the manifest"
        )
    if not outcome.written:
        return f"nothing to do: {outcome.out} is complete; manifest: {outcome.manifest}"
    speed = outcome.written / max(outcome.seconds, 1e-9)
    return f"{have:,} images in {outcome.out} ({speed:,.0f} img/s); manifest: {outcome.manifest}"


def _payload(outcome: Outcome) -> dict:
    return {
        "out": str(outcome.out),
        "manifest": str(outcome.manifest) if outcome.manifest else None,
        "total": outcome.total,
        "written": outcome.written,
        "kept": outcome.kept,
        "missing_shards": outcome.missing_shards,
        "stopped": outcome.stopped,
        "seconds": round(outcome.seconds, 3),
    }
