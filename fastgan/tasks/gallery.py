"""Real and synthetic images side by side, one row a class."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from fastgan.errors import FastganError
from fastgan.run import Run
from fastgan.tasks.figures import strip
from fastgan.tasks.real import load_real
from fastgan.tasks.synthetic import synthetic_images

COLUMNS = 8
MOST_CLASSES = 20
_ROWS_WITHOUT_CLASSES = 6


@dataclass(frozen=True)
class Row:
    """One class: its name, "" without labels, and two strips as data: URLs; `real` None if there is no image."""

    name: str
    real: str | None
    synthetic: str


@dataclass(frozen=True)
class Gallery:
    """The rows, and in words what they leave out: `real_missing` says why no row has real images."""

    rows: list[Row]
    classes_left_out: int
    real_missing: str | None


def gallery(
    run: Run,
    data: str | Path | None = None,
    *,
    seed: int = 0,
    device: torch.device | None = None,
    precision: str = "fp32",
) -> Gallery:
    """The first images of `run` with this seed beside training images, by class; none picked.

    The training images are the first in the order of their content hashes; `data` says where they are if they moved.
    """
    shown = run.classes[:MOST_CLASSES]
    per_class = COLUMNS if run.classes else COLUMNS * _ROWS_WITHOUT_CLASSES
    count = per_class * max(1, run.num_classes)
    fakes, fake_labels = synthetic_images(run, count, seed=seed, device=device, precision=precision)
    real, missing = _real(run, data)
    rows = []
    for label, name in enumerate(shown or ("",)):
        belongs = fake_labels == (label if shown else -1)
        rows.append(
            Row(
                name,
                None if real is None else _strip(_first(*real, label if shown else None, per_class)),
                strip(fakes[belongs][:per_class], COLUMNS),
            )
        )
    return Gallery(rows, run.num_classes - len(shown), missing)


def _strip(images: np.ndarray) -> str | None:
    return strip(images, COLUMNS) if len(images) else None


def _real(run: Run, data: str | Path | None) -> tuple[tuple[np.ndarray, np.ndarray | None] | None, str | None]:
    try:
        training = load_real(run, data).training
    except FastganError as error:
        return None, str(error)
    return (training.images, training.labels), None


def _first(images: np.ndarray, labels: np.ndarray | None, label: int | None, count: int) -> np.ndarray:
    return images[:count] if labels is None or label is None else images[np.flatnonzero(labels == label)[:count]]
