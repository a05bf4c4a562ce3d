"""KID of the averaged generator against validation images, with the value that real images reach beside it."""

from typing import Any

import numpy as np

from fastgan import noise
from fastgan.data import ImageSet
from fastgan.metrics import kid
from fastgan.metrics.features import FeatureExtractor
from fastgan.models import Generator
from fastgan.train.options import TrainOptions
from fastgan.train.samples import sample_images

LEAST_IMAGES = 20

_DRAW = 2**31  # a number that KID's own draws, 0, 1, 2 ..., do not reach


class KidEvaluator:
    """Compares generated images with validation images in the features of one extractor.

    The generated images carry the labels of the validation images they are compared with, and come from the same
    latent vectors each time, so two values of one run differ by the weights alone.
    """

    def __init__(
        self, extractor: FeatureExtractor, training: ImageSet, validation: ImageSet, options: TrainOptions
    ) -> None:
        self._extractor, self._options = extractor, options
        chosen = validation.select(_some(len(validation), options))
        self._labels, self._count = chosen.labels, len(chosen)
        self._real = extractor(chosen.images)
        others = training.select(_some(len(training), options))
        self.floor = kid(extractor(others.images), self._real, seed=options.seed).mean

    def __call__(self, generator: Generator) -> dict[str, Any]:
        """A row for the log.

        `kid` and its `kid_std`; `kid_floor`, the value of training against validation images; with labels
        `label_agreement`, the share of generated images that the feature network puts into their class, which KID
        does not look at; `features`, which network measured.
        """
        options = self._options
        fake = sample_images(generator, options.seed, self._count, self._labels, options.precision)
        features = self._extractor(fake)
        value = kid(self._real, features, seed=options.seed)
        agreement = {}
        if self._labels is not None:
            agreement["label_agreement"] = self._extractor.label_agreement(features, self._labels)
        return {
            "kid": value.mean,
            "kid_std": value.std,
            "kid_floor": self.floor,
            **agreement,
            "kid_images": self._count,
            "features": {"name": self._extractor.name, "sha256": self._extractor.sha256},
        }


def _some(available: int, options: TrainOptions) -> np.ndarray:
    """Rows of at most `kid_images` images, drawn: files come sorted by class, and the first would be of one."""
    return noise.permutation(options.seed, noise.Stream.METRIC, _DRAW, available)[: options.kid_images]
