"""fastgan: fast layers, benchmarks and labelled synthetic images for convolutional GANs."""

from fastgan._version import __version__

__all__ = ["__version__"]
