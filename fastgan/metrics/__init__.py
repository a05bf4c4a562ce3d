"""How good generated images are: KID with a stated extractor, and the small CNN that learns from them."""

from fastgan.metrics.batches import Augment, Mix
from fastgan.metrics.classifier import predict, train_classifier
from fastgan.metrics.features import (
    FeatureExtractor,
    classifier_features,
    efficientnet_lite0_features,
    load_features,
)
from fastgan.metrics.kid import Kid, kid

__all__ = [
    "Augment",
    "FeatureExtractor",
    "Kid",
    "Mix",
    "classifier_features",
    "efficientnet_lite0_features",
    "kid",
    "load_features",
    "predict",
    "train_classifier",
]
