"""KID of the averaged generator against validation images, with the value that real images reach beside it."""

from typing import Any

import numpy as np

from fastgan.data import ImageSet
from fastgan.metrics import kid
from fastgan.metrics.features import FeatureExtractor
from fastgan.models import Generator
from fastgan.train.options import TrainOptions
from fastgan.train.samples import sample_images

LEAST_IMAGES = 20


class KidEvaluator:
    """Compares generated images with validation images in the features of one extractor.

    The generated images carry the labels of the validation images they are compared with, and come from the same
    latent vectors each time, so two values of one run differ by the weights alone.
    """

    def __init__(
        self, extractor: FeatureExtractor, training: ImageSet, validation: ImageSet, options: TrainOptions
    ) -> None:
        count = min(len(validation), options.kid_images)
        self._extractor, self._options = extractor, options
        self._labels = None if validation.labels is None else validation.labels[:count]
        self._real = extractor(validation.images[:count])
        self._count = count
        floor = kid(extractor(training.images[:count]), self._real, seed=options.seed)
        self.floor = floor.mean

    def __call__(self, generator: Generator) -> dict[str, Any]:
        """A row for the log: `kid`, `kid_std`, `kid_floor` (training against validation images), `features`."""
        options = self._options
        fake = sample_images(generator, options.seed, self._count, self._labels, options.precision)
        value = kid(self._real, self._extractor(np.ascontiguousarray(fake)), seed=options.seed)
        return {
            "kid": value.mean,
            "kid_std": value.std,
            "kid_floor": self.floor,
            "kid_images": self._count,
            "features": {"name": self._extractor.name, "sha256": self._extractor.sha256},
        }
