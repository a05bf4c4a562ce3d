"""The real images of a run, loaded again as training saw them, and the check that none is a test image."""

from dataclasses import dataclass

import numpy as np

from fastgan.data import ImageSet, Transform, load
from fastgan.data.hashing import content_hash
from fastgan.errors import RunError
from fastgan.progress import Progress, silent
from fastgan.run import Run


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


def load_real(run: Run, progress: Progress = silent) -> RealImages:
    """Load the data of `run` from where it was, in the form the run recorded.

    Raises:
        DataError: the source is gone or cannot be read.
        RunError: the run was trained on arrays, or the images are not those it was trained on.
    """
    recorded = run.config["data"]
    if recorded["source"] is None:
        raise RunError(f"{run.path} was trained on arrays, which a run does not keep: train on files instead")
    transform = Transform.from_json(recorded["transform"])
    data = load(recorded["source"], transform=transform, progress=progress)
    if data.describe()["sha256"] != recorded["sha256"]:
        raise RunError(
            f"the images in {recorded['source']} are not those {run.path} was trained on: restore them or train anew"
        )
    hashes = recorded["subset"]["hashes"]
    training = (data if hashes is None else data.only(hashes)).split("train")
    if len(training) != recorded["subset"]["images"]:
        raise RunError(
            f"{recorded['source']} gives {len(training)} of the {recorded['subset']['images']} images that "
            f"{run.path} was trained on: restore the data or train anew"
        )
    return RealImages(training, data.split("val"), data.split("test"))


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
