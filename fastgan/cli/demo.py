"""`fastgan demo`: data, training, ten thousand images, a verdict and a page, with one command."""

import signal
from pathlib import Path
from typing import Annotated, Literal

import typer

from fastgan.cli.console import emit, note, progress_bar
from fastgan.device import DEVICES, PRECISIONS
from fastgan.tasks.demo import DemoOptions
from fastgan.tasks.demo import demo as run_demo

_D = DemoOptions()


def demo(
    data: Annotated[
        str | None,
        typer.Option(help="A data set's name or a path. [default: fashion-mnist if it can be had, else digits]"),
    ] = _D.data,
    out: Annotated[Path, typer.Option(help="Folder: new, empty, or the same demo to go on.")] = Path("fastgan-demo"),
    images: Annotated[int, typer.Option(min=1, help="Training budget in real images shown.")] = _D.images,
    minutes: Annotated[float, typer.Option(min=0.01, help="Train for this long at the most.")] = _D.minutes,
    n: Annotated[int, typer.Option("--n", min=1, help="Synthetic images.")] = _D.n,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each arm of the study.")] = _D.seeds,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of each of them. [default: from the data]")
    ] = _D.steps,
    real_per_class: Annotated[
        int | None, typer.Option(min=1, help="Use this many real images of each class only.")
    ] = _D.real_per_class,
    seed: Annotated[int, typer.Option(min=0, help="Key of the training's randomness.")] = _D.seed,
    device: Annotated[Literal[DEVICES], typer.Option(help="Where every part runs.")] = _D.device,
    precision: Annotated[Literal[PRECISIONS], typer.Option(help="Of convolutions and linear layers.")] = _D.precision,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train, write 10,000 labelled images, learn if they help.

    All of it comes on one page, whose path is the last line. Run the same command again to go on after it was
    stopped or killed.

    Example: fastgan demo --data digits --images 20000 --n 1000 --seeds 2
    """
    options = DemoOptions(
        data=data,
        images=images,
        minutes=minutes,
        n=n,
        seeds=seeds,
        steps=steps,
        real_per_class=real_per_class,
        seed=seed,
        device=device,
        precision=precision,
    )
    outcome = run_demo(out, options, bar=progress_bar, say=note)
    if outcome.report is None:
        emit("stopped: run the same command again to go on", {"report": None}, as_json)
        if outcome.signal == signal.SIGINT:
            raise typer.Exit(130)
        return
    path = outcome.report.resolve()
    emit(str(path), {"report": str(path)}, as_json)
