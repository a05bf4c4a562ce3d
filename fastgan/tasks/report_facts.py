"""The words and numbers of a report: what was trained on what, how fast, and how to do it again."""

import shlex
import statistics
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from fastgan.data import CATALOGUE
from fastgan.run import Run
from fastgan.synth.blocks import BLOCK
from fastgan.tasks.synthetic import synthetic_images
from fastgan.tasks.trainings import cores
from fastgan.train import TrainOptions

_TIMED_IMAGES = 20 * BLOCK
_ONLY_IN_PYTHON = ("beta1", "beta2", "ema", "kid_images")  # of TrainOptions; the command line has all others


@dataclass(frozen=True)
class Generated:
    """A set written from the run, and by which process.

    Attributes:
        folder: where it lies.
        n: images.
        seed: key of its randomness.
        seconds: how long it took; None where it was not written in one go.
        device: cpu or cuda.
        precision: fp32, bf16 or fp16.
        threads: torch's in the process that wrote it.
        torch: version of torch in that process.
    """

    folder: Path
    n: int
    seed: int
    seconds: float | None
    device: str
    precision: str
    threads: int
    torch: str


def data_name(run: Run) -> str:
    """The data set's name, or the last part of its path."""
    return Path(run.config["data"]["name"]).name


def data_licence(run: Run) -> str:
    """The licence of the images where it is known."""
    known = CATALOGUE.get(run.config["data"]["source"])
    if known is None:
        return "The licence of the images is not recorded in the run."
    return f"{data_name(run)}: {known.about}. Licence: {known.licence}."


def header(run: Run) -> list[tuple[str, str]]:
    """Name and value of each fact under the title."""
    data, train, model = run.config["data"], run.config["train"], run.config["model"]["generator"]
    height, width = run.size
    rows = [row for row in run.metrics() if "seconds" in row]
    subset = data["subset"]["real_per_class"]
    parameters = sum(p.numel() for p in run.load_generator().parameters())
    each = f" ({subset:,} of each class)" if subset else ""
    shown = rows[-1]["images"] if rows else 0
    return [
        (
            "Real images",
            f"{data['subset']['images']:,} for training{each}, {data['counts']['val']:,} for validation",
        ),
        ("Kept away", f"{data['counts']['test']:,} test images"),
        ("Size", f"{height} × {width}, {_CHANNELS[run.channels]}"),
        ("Classes", f"{run.num_classes}" if run.classes else "none"),
        ("Generator", f"preset {model['preset']}, {parameters:,} parameters"),
        ("Training", f"{shown:,} images shown, batch {train['batch']}, seed {train['seed']}"),
        ("Training time", _duration(rows[-1]["seconds"]) if rows else "not recorded"),
        ("Weights used", f"averaged, step {run.checkpoint().step:,}"),
    ]


_CHANNELS = {1: "grey", 2: "grey and alpha", 3: "RGB", 4: "RGBA"}


def kid_summary(run: Run) -> str | None:
    """Why there is no KID curve, or None where there is one."""
    if any("kid" in row for row in run.metrics()):
        return None
    return "KID was not measured: the run has too few validation images, or no snapshot yet."


@dataclass(frozen=True)
class Speed:
    """One measured rate: what was done, images per second, and under which conditions."""

    what: str
    img_per_s: float
    conditions: str


def throughput(run: Run, generated: Generated | None, device: torch.device, precision: str) -> list[Speed]:
    """Speed of training as recorded, of generation as measured now on `device`, and of the written set if known."""
    rates = [row["img_per_s"] for row in run.metrics() if "img_per_s" in row]
    shape = " × ".join(str(side) for side in (*run.size, run.channels))
    found = []
    if rates:
        train, machine = run.config["train"], run.config["machine"]
        found.append(
            Speed(
                "Training",
                statistics.median(rates),
                f"median of {len(rates)} stretches, {shape}, batch {train['batch']}, {train['precision']}; "
                f"as it began: device {machine['device']}, {_threads(machine['threads'])}, "
                f"torch {run.config['versions']['torch']}",
            )
        )
    synthetic_images(run, 2 * BLOCK, device=device, precision=precision)  # the first blocks pay for loading
    started = time.perf_counter()
    synthetic_images(run, _TIMED_IMAGES, device=device, precision=precision)
    found.append(
        Speed(
            "Generating in memory",
            _TIMED_IMAGES / (time.perf_counter() - started),
            f"{_TIMED_IMAGES:,} images in blocks of {BLOCK}, loading included, {shape}, {precision}, device {device}, "
            f"{_threads(cores())}, torch {torch.__version__}, when this page was written",
        )
    )
    if generated and generated.seconds:
        found.append(
            Speed(
                "Generating to disk",
                generated.n / generated.seconds,
                f"{generated.n:,} PNG files in class folders, {shape}, {generated.precision}, "
                f"device {generated.device}, {_threads(generated.threads)}, torch {generated.torch}",
            )
        )
    return found


def commands(
    run: Run,
    study: dict[str, Any] | None,
    generated: Generated | None,
    report: Path,
    *,
    data: str | Path | None,
    device: str,
    precision: str,
) -> list[str]:
    """The command lines that make this run, its images, its study and this page again; see `remarks` for the rest."""
    source = run.config["data"]["source"] if data is None else str(data)
    where = ["--device", device] if device != "auto" else []
    lines = []
    if source is not None:
        lines.append(shlex.join(["fastgan", "train", source, "--out", str(run.path), *_train_flags(run)]))
    if generated is not None:
        words = ["fastgan", "generate", str(run.path), "--n", str(generated.n), "--seed", str(generated.seed)]
        words += ["--device", generated.device, *_precision(generated.precision)]
        lines.append(shlex.join([*words, "--out", str(generated.folder)]))
    if study is not None and study["command"]:
        lines.append(study["command"])
    words = ["fastgan", "report", str(run.path), "--out", str(report)]
    words += ["--data", str(data)] if data is not None else []
    return [*lines, shlex.join([*words, *where, *_precision(precision)])]


def remarks(run: Run) -> list[str]:
    """What it takes to make the run again that no command line can say."""
    found = []
    if run.config["data"]["source"] is None:
        found.append("The GAN was trained on arrays in Python, which a run does not keep.")
    default, told = TrainOptions(), run.config["train"]
    options = [f"{name}={told[name]}" for name in _ONLY_IN_PYTHON if told[name] != getattr(default, name)]
    if options:
        found.append(
            f"The training had options that only Python can set: {', '.join(options)} (fastgan.train.TrainOptions)."
        )
    return found


def versions_line(run: Run) -> str:
    """Versions of everything that can change a number."""
    return ", ".join(f"{name} {version}" for name, version in run.config["versions"].items())


def _train_flags(run: Run) -> list[str]:
    """Image form and every training option of the command line that is not the default."""
    transform = run.config["data"]["transform"]
    height, width = transform["size"]
    words = ["--size", f"{height}x{width}", "--channels", str(transform["channels"])]
    words += ["--fit", transform["fit"], "--alpha", transform["alpha"]]
    default = TrainOptions()
    for field in fields(TrainOptions):
        value = run.config["train"].get(field.name)
        if field.name in _ONLY_IN_PYTHON or value in (None, getattr(default, field.name)):
            continue
        flag = f"--{field.name.replace('_', '-')}"
        words += [flag] if value is True else [flag, str(value)]
    return words


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def _precision(precision: str) -> list[str]:
    return ["--precision", precision] if precision != "fp32" else []


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
