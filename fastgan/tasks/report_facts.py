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


@dataclass(frozen=True)
class Generated:
    """A set written from the run: folder, n, seed; `seconds` None where it was not written in one go."""

    folder: Path
    n: int
    seed: int
    seconds: float | None


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


def throughput(run: Run, generated: Generated | None) -> list[Speed]:
    """Speed of training as recorded, of generation as measured now, and of the written set if known."""
    train = run.config["train"]
    rates = [row["img_per_s"] for row in run.metrics() if "img_per_s" in row]
    torch_version = f"torch {run.config['versions']['torch']}"
    found = []
    if rates:
        found.append(
            Speed(
                "Training",
                statistics.median(rates),
                f"median of {len(rates)} stretches, batch {train['batch']}, {train['precision']}, "
                f"device {train['device']}, {torch_version}",
            )
        )
    synthetic_images(run, 2 * BLOCK)  # the first blocks pay for loading
    started = time.perf_counter()
    synthetic_images(run, _TIMED_IMAGES)
    found.append(
        Speed(
            "Generating in memory",
            _TIMED_IMAGES / (time.perf_counter() - started),
            f"{_TIMED_IMAGES:,} images in blocks of {BLOCK}, loading included, fp32, cpu, {cores()} threads, "
            f"torch {torch.__version__}, when this page was written",
        )
    )
    if generated and generated.seconds:
        found.append(
            Speed(
                "Generating to disk",
                generated.n / generated.seconds,
                f"{generated.n:,} PNG files in class folders, fp32, {torch_version}",
            )
        )
    return found


def commands(run: Run, study: dict[str, Any] | None, generated: Generated | None, report: Path) -> list[str]:
    """The command lines that make this run, its images, its study and this page again."""
    data = run.config["data"]
    lines = []
    if data["source"] is not None:
        lines.append(shlex.join(["fastgan", "train", data["source"], "--out", str(run.path), *_train_flags(run)]))
    if generated is not None:
        words = ["fastgan", "generate", str(run.path), "--n", str(generated.n), "--seed", str(generated.seed)]
        lines.append(shlex.join([*words, "--out", str(generated.folder)]))
    if study is not None and study["command"]:
        lines.append(study["command"])
    return [*lines, shlex.join(["fastgan", "report", str(run.path), "--out", str(report)])]


def versions_line(run: Run) -> str:
    """Versions of everything that can change a number."""
    return ", ".join(f"{name} {version}" for name, version in run.config["versions"].items())


def _train_flags(run: Run) -> list[str]:
    """Image form and every training option that is not the default."""
    transform = run.config["data"]["transform"]
    height, width = transform["size"]
    words = ["--size", f"{height}x{width}", "--channels", str(transform["channels"])]
    words += ["--fit", transform["fit"], "--alpha", transform["alpha"]]
    default = TrainOptions()
    for field in fields(TrainOptions):
        value = run.config["train"].get(field.name)
        if value in (None, getattr(default, field.name)):
            continue
        flag = f"--{field.name.replace('_', '-')}"
        words += [flag] if value is True else [flag, str(value)]
    return words


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
