"""`fastgan study`: does a classifier gain from the synthetic images of a run?"""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from fastgan.cli.console import emit, note, progress_bar
from fastgan.device import DEVICES, PRECISIONS
from fastgan.tasks.classify import StudyOptions, study_classify
from fastgan.tasks.verdict import RESULT_FILE

app = typer.Typer(no_args_is_help=True, help="Learn whether the synthetic images of a run help.")

_D = StudyOptions()


@app.callback()
def _studies() -> None:
    """Keep `classify` a subcommand although it is the only one."""


@app.command()
def classify(
    run: Annotated[Path, typer.Option(help="The run folder that `fastgan train` printed.")],
    data: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="Where the run's images are now, if they moved.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each arm; one gives no interval.")] = _D.seeds,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Optimiser steps of every training. [default: from the data]")
    ] = None,
    synthetic: Annotated[
        int | None,
        typer.Option(min=1, help="Synthetic images. [default: as many as real ones, at most 10000]"),
    ] = None,
    synthetic_seed: Annotated[
        int, typer.Option(min=0, max=2**64 - 1, help="Seed of the synthetic images.")
    ] = _D.synthetic_seed,
    share: Annotated[float, typer.Option(min=0.01, max=0.99, help="Synthetic part of each mixed batch.")] = _D.share,
    batch: Annotated[int, typer.Option(min=2, help="Images a step.")] = _D.batch,
    device: Annotated[Literal[DEVICES], typer.Option(help="Where the networks run.")] = _D.device,
    precision: Annotated[Literal[PRECISIONS], typer.Option(help="Of the classifiers' layers.")] = _D.precision,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train the same small classifier on real, real + synthetic and synthetic images, and compare.

    Example: fastgan study classify --run runs/digits --seeds 5
    """
    options = StudyOptions(
        seeds=seeds,
        steps=steps,
        synthetic=synthetic,
        synthetic_seed=synthetic_seed,
        share=share,
        batch=batch,
        device=device,
        precision=precision,
    )
    with progress_bar("study") as progress:
        result = study_classify(
            run, options, data=data, command=options.command_line(run, data), progress=progress, say=note
        )
    emit(
        f"{table(result)}\n\n{result['sentence']}\n{result['conditions']}\n{run / RESULT_FILE}",
        result,
        as_json,
    )


def table(result: dict[str, Any]) -> str:
    """Accuracy of each arm and its difference to the real images, in columns."""
    lines = [f"{'trained on':<16}{'accuracy %':>12}{'95 % interval':>18}{'minus real':>14}{'95 % interval':>20}"]
    for arm, row in result["arms"].items():
        minus = result["minus_real"].get(arm, {}).get("seeds_and_images")
        change = f"{100 * minus['mean']:>+14.2f}{_interval(minus, '+.2f'):>20}" if minus else ""
        accuracy = row["accuracy"]
        lines.append(f"{arm:<16}{100 * accuracy['mean']:>12.2f}{_interval(accuracy, '.2f'):>18}{change}")
    return "\n".join(lines)


def _interval(interval: dict[str, float | None], form: str) -> str:
    if interval["low"] is None:
        return "none: one seed"
    return f"{100 * interval['low']:{form}} to {100 * interval['high']:{form}}"
