"""What a training does where the user said nothing: budget, snapshots and the output folder."""

import re
from dataclasses import replace
from pathlib import Path

from fastgan.data import ImageSet
from fastgan.train.options import TrainOptions

_PASSES = 20
_LEAST_IMAGES = 200_000
_MOST_IMAGES = 2_000_000
_SNAPSHOTS = 20
_LEARNING_RATES = {"keras": 8e-4, "dcgan": 2e-4}


def fill_in(options: TrainOptions, training_images: int) -> TrainOptions:
    """The options with learning rates, a budget and a snapshot interval, the last two whole numbers of steps.

    The budget is 20 passes over the data, at least 200,000 and at most 2,000,000 images; a twentieth of it lies
    between two snapshots.
    """
    images = options.images or min(max(_PASSES * training_images, _LEAST_IMAGES), _MOST_IMAGES)
    snapshot = options.snapshot_images or -(-images // _SNAPSHOTS)
    return replace(
        options,
        lr_generator=options.lr_generator or _LEARNING_RATES[options.preset],
        lr_discriminator=options.lr_discriminator or _LEARNING_RATES[options.preset],
        images=_whole_steps(images, options.batch),
        snapshot_images=_whole_steps(snapshot, options.batch),
    )


def _whole_steps(images: int, batch: int) -> int:
    return -(-images // batch) * batch


def choose_folder(images: ImageSet, parent: Path = Path("runs")) -> Path:
    """The first free folder `runs/NAME`, `runs/NAME-2`, ... for a training on `images`."""
    name = re.sub(r"[^\w.-]+", "-", images.name).strip("-.") or "run"
    folder, number = parent / name, 1
    while folder.exists():
        number += 1
        folder = parent / f"{name}-{number}"
    return folder
