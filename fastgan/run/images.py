"""The images of a run, loaded again and held against what the run recorded."""

from pathlib import Path
from typing import Any

import numpy as np

from fastgan.data import ImageSet, Transform, load
from fastgan.errors import RunError
from fastgan.progress import Progress, silent
from fastgan.run.folder import Run

Images = str | Path | np.ndarray | tuple[np.ndarray, np.ndarray]


def load_run_images(run: Run, source: Images | None = None, progress: Progress = silent) -> ImageSet:
    """All images of `run` in the form it saw them, from where they were or from `source` if they moved.

    Raises:
        DataError: the source is gone or cannot be read.
        RunError: the run was trained on arrays and none are given, or an image, a label, a class name or a split is
            not what the run recorded.
    """
    recorded = run.config["data"]
    source = recorded["source"] if source is None else source
    if source is None:
        raise RunError(f"{run.path} was trained on arrays, which a run does not keep: give them again")
    data = load(source, transform=Transform.from_json(recorded["transform"]), progress=progress)
    if data.describe()["sha256"] != recorded["sha256"]:
        place = source if isinstance(source, (str, Path)) else "the array given"
        raise RunError(
            f"{place} does not hold what {run.path} was trained on: an image, a label, a class name or a split "
            "differs; restore the data or train anew"
        )
    return data


def training_images(data: ImageSet, subset: dict[str, Any]) -> ImageSet:
    """The training images that `subset` of a run's config names, in an order that file names do not change."""
    hashes = subset["hashes"]
    return (data if hashes is None else data.only(hashes)).split("train").by_content()
