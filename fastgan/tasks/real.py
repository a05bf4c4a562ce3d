"""The real images of a run, loaded again as training saw them, and the check that none is a test image."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastgan.data import ImageSet
from fastgan.data.hashing import content_hash
from fastgan.errors import DataError, RunError
from fastgan.progress import Progress, silent
from fastgan.run import Run, load_run_images, training_images


@dataclass(frozen=True)
class RealImages:
    """What a run saw and what it did not.

    Attributes:
        training: exactly the images the GAN was trained on.
        validation: images that chose the GAN's checkpoint, and choose the augmentation; never trained on.
        test: images that nothing was trained on or chosen by.
    """

    training: ImageSet
    validation: ImageSet
    test: ImageSet


def load_real(run: Run, source: str | Path | None = None, progress: Progress = silent) -> RealImages:
    """Load the data of `run` in the form the run recorded, in the order of their content.

    Args:
        run: the run.
        source: where the data are now; None looks where the run found them.
        progress: receives images loaded.

    Raises:
        DataError: the source is gone or cannot be read.
        RunError: the run was trained on arrays, or an image, a label or a split is not what the run recorded.
    """
    if source is None and run.config["data"]["source"] is None:
        raise RunError(
            f"{run.path} was trained on arrays, which a run does not keep: save them as .npz and name the file "
            "with --data"
        )
    try:
        data = load_run_images(run, source, progress)
    except DataError as error:
        if source is not None:
            raise
        raise DataError(f"{error}; if the data moved, say where they are with --data SOURCE") from None
    training = training_images(data, run.config["data"]["subset"])
    return RealImages(training, data.split("val").by_content(), data.split("test").by_content())


def check_no_leak(test_images: np.ndarray, **others: np.ndarray) -> None:
    """Refuse to go on if a test image is among `others`, by the content of the pixels and not by any record.

    test_images, others: uint8 [N, H, W, C].

    Raises:
        RunError: it is; the message says where and how many.
    """
    test = {content_hash(image) for image in test_images}
    for name, images in others.items():
        found = sum(content_hash(image) in test for image in images)
        if found:
            raise RunError(
                f"{found} of the {len(images)} {name} images are also test images, so accuracy would be too "
                "high: remove them from one side and train anew"
            )
