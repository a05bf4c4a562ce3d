"""The data sets that have a name: what they are, whether they are here, and how they open."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fastgan.data import digits, fashion_mnist
from fastgan.data.fetch import data_root, fetch
from fastgan.data.limits import Limits
from fastgan.data.sample import Source
from fastgan.progress import Progress


@dataclass(frozen=True)
class Named:
    """A known set: a line about it, its licence, whether it is on this machine, and its reader."""

    about: str
    licence: str
    here: Callable[[], bool]
    open: Callable[[Path, Limits], Source]


CATALOGUE = {
    "digits": Named(
        "1,797 grey 8x8 images of handwritten digits, 10 classes; part of scikit-learn",
        "BSD-3-Clause",
        lambda: True,
        lambda path, limits: digits.open_digits(),
    ),
    fashion_mnist.NAME: Named(
        "70,000 grey 28x28 product photos, 10 classes, official test set of 10,000; about 30 MB",
        "MIT",
        lambda: fashion_mnist.complete(data_root() / fashion_mnist.NAME),
        fashion_mnist.open_fashion_mnist,
    ),
}
NAMES = tuple(CATALOGUE)


def open_named(name: str, limits: Limits, progress: Progress | None = None) -> Source:
    """List a set of `NAMES`, fetched first if it is not here yet. Raises DataError if it cannot be had."""
    return CATALOGUE[name].open(fetch(name, progress=progress), limits)
