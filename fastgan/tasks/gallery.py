"""Real and synthetic images side by side, one row a class."""

from dataclasses import dataclass

import numpy as np

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
    """One class: its name, "" without labels, and two strips as data: URLs, `real` None if not at hand."""

    name: str
    real: str | None
    synthetic: str


@dataclass(frozen=True)
class Gallery:
    """The rows, and in words what they leave out."""

    rows: list[Row]
    classes_left_out: int
    real_missing: str | None


def gallery(run: Run, seed: int = 0) -> Gallery:
    """The first images of `run` with this seed beside its first training images, by class; none picked."""
    shown = run.classes[:MOST_CLASSES]
    per_class = COLUMNS if run.classes else COLUMNS * _ROWS_WITHOUT_CLASSES
    fakes, fake_labels = synthetic_images(run, per_class * max(1, run.num_classes), seed=seed)
    real, missing = _real(run)
    rows = []
    for label, name in enumerate(shown or ("",)):
        belongs = fake_labels == (label if shown else -1)
        rows.append(
            Row(
                name,
                None if real is None else strip(_first(*real, label if shown else None, per_class), COLUMNS),
                strip(fakes[belongs][:per_class], COLUMNS),
            )
        )
    return Gallery(rows, run.num_classes - len(shown), missing)


def _real(run: Run) -> tuple[tuple[np.ndarray, np.ndarray | None] | None, str | None]:
    try:
        training = load_real(run).training
    except FastganError as error:
        return None, str(error)
    return (training.images, training.labels), None


def _first(images: np.ndarray, labels: np.ndarray | None, label: int | None, count: int) -> np.ndarray:
    return images[:count] if labels is None or label is None else images[np.flatnonzero(labels == label)[:count]]
