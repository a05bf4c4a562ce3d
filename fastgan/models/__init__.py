"""The networks: generators and discriminators by preset, small classifiers, and the sizes they can have."""

from fastgan.models.classifier import SmallClassifier
from fastgan.models.discriminator import Discriminator
from fastgan.models.generator import Generator
from fastgan.models.heads import ClassifierHead
from fastgan.models.pixels import to_float, to_uint8
from fastgan.models.sizes import check_size, nearest_size

__all__ = [
    "PRESETS",
    "ClassifierHead",
    "Discriminator",
    "Generator",
    "SmallClassifier",
    "check_size",
    "nearest_size",
    "to_float",
    "to_uint8",
]

PRESETS = ("keras", "dcgan")
