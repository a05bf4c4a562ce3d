"""`fastgan train`: images in, a run folder out."""

import signal
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from fastgan import losses
from fastgan.cli.console import emit, note, progress_bar
from fastgan.cli.parse import parse_size
from fastgan.data import ALPHAS, FITS
from fastgan.device import DEVICES, PRECISIONS
from fastgan.models import PRESETS
from fastgan.train import Outcome, TrainOptions
from fastgan.train import resume as resume_training
from fastgan.train import train as run_training

_D = TrainOptions()


def train(
    ctx: typer.Context,
    data: Annotated[
        str | None,
        typer.Argument(help="A folder of images (one subfolder a class), .npz, .npy, IDX, .tar, or a data set's name."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder, new or empty. [default: runs/NAME]")] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Continue the training in this run folder (with DATA if the images moved).")
    ] = None,
    images: Annotated[
        int | None, typer.Option(min=1, help="Budget in real images shown. [default: from the data]")
    ] = None,
    minutes: Annotated[float | None, typer.Option(min=0.01, help="Stop after this many minutes at the latest.")] = None,
    patience: Annotated[
        int, typer.Option(min=0, help="Stop after this many snapshots without a better KID; 0 never.")
    ] = _D.patience,
    snapshot_images: Annotated[
        int | None,
        typer.Option(min=1, help="Images between checkpoints. [default: a twentieth of the budget]"),
    ] = None,
    size: Annotated[str | None, typer.Option(metavar="HxW", help="Image size. [default: from the data]")] = None,
    fit: Annotated[Literal[FITS], typer.Option(help="How images of other shapes are brought to the size.")] = "crop",
    channels: Annotated[
        Literal["auto", "1", "3", "4"], typer.Option(help="Grey, RGB, RGBA, or what the images have.")
    ] = "auto",
    alpha: Annotated[Literal[ALPHAS], typer.Option(help="What becomes of transparency.")] = "white",
    real_per_class: Annotated[
        int | None, typer.Option(min=1, help="Train on this many images of each class only.")
    ] = None,
    flip: Annotated[bool, typer.Option(help="Mirror half of the real images left to right.")] = _D.flip,
    batch: Annotated[int, typer.Option(min=2, help="Images a step.")] = _D.batch,
    loss: Annotated[Literal[losses.FAMILIES], typer.Option(help="Family of the adversarial loss.")] = _D.loss,
    lr_generator: Annotated[
        float | None, typer.Option(help="Adam's learning rate of the generator. [default: the preset's]")
    ] = _D.lr_generator,
    lr_discriminator: Annotated[
        float | None, typer.Option(help="Adam's learning rate of the discriminator. [default: the preset's]")
    ] = _D.lr_discriminator,
    width: Annotated[int, typer.Option(min=1, help="Channels of the widest images' map.")] = _D.width,
    z_dim: Annotated[int, typer.Option(min=1, help="Length of the latent vector.")] = _D.z_dim,
    preset: Annotated[Literal[PRESETS], typer.Option(help="Family of the networks.")] = _D.preset,
    seed: Annotated[int, typer.Option(min=0, max=2**64 - 1, help="Key of all randomness.")] = _D.seed,
    device: Annotated[Literal[DEVICES], typer.Option(help="Where to train.")] = _D.device,
    precision: Annotated[Literal[PRECISIONS], typer.Option(help="Of convolutions and linear layers.")] = _D.precision,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train a GAN on images; go on with --resume after any stop.

    Example: fastgan train digits --images 20000
    """
    if data is None and resume is None:
        raise typer.BadParameter("give DATA to start a training, or --resume RUN to continue one")
    fixed = [name for name in ("out", "size", "fit", "channels", "alpha") if _was_typed(ctx, name)]
    if resume is not None and fixed:
        raise typer.BadParameter(f"--{fixed[0]} belongs to a new training; --resume continues the run as it began")
    given = {f.name: ctx.params[f.name] for f in fields(TrainOptions) if f.name in ctx.params}
    with progress_bar(Path(resume or data).name) as progress:
        if resume is not None:
            told = {k: v for k, v in given.items() if _was_typed(ctx, k)}
            outcome = resume_training(resume, changes=told, source=data, progress=progress, say=note)
        else:
            outcome = run_training(
                data,
                out,
                options=replace(_D, **given),
                size=parse_size(size),
                fit=fit,
                channels=channels if channels == "auto" else int(channels),
                alpha=alpha,
                progress=progress,
                say=note,
            )
    _tell(outcome, as_json)


def _was_typed(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _tell(outcome: Outcome, as_json: bool) -> None:
    path = outcome.run.path
    rows = [row for row in outcome.run.metrics() if "kid" in row]
    best = min(rows, key=lambda row: row["kid"]) if rows else None
    human = f"{path}: {outcome.images:,} images, stopped because {outcome.reason}"
    if best:
        human += f"; best KID {best['kid']:.4f} at {best['images']:,} (real against real {best['kid_floor']:.4f})"
    payload = {"run": str(path), "images": outcome.images, "reason": outcome.reason, "best": best}
    if outcome.interrupted is not None:
        human += f"\ncontinue with: fastgan train --resume {path}"
    else:
        human += f"\nnext: fastgan generate {path} --n 10000"
    emit(human, payload, as_json)
    if outcome.interrupted == signal.SIGINT:
        raise typer.Exit(130)
