"""Fashion-MNIST: what its four files are called, what they must hold, and how they become a source.

H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
Algorithms", 2017.
"""

import gzip
import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastgan.data.arrays import array_source
from fastgan.data.idx import read_idx
from fastgan.data.limits import Limits
from fastgan.data.sample import Source
from fastgan.errors import DataError

NAME = "fashion-mnist"
PACKAGE = "dataset-fashion-mnist"
PACKAGE_FOLDER = Path("/usr/share/datasets/fashion-mnist")
UPSTREAM = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"

# The number in front keeps the official order when names are sorted, as every reader of class folders does;
# the first class is "T-shirt/top" upstream, which cannot name a folder.
CLASSES = (
    "0-T-shirt",
    "1-Trouser",
    "2-Pullover",
    "3-Dress",
    "4-Coat",
    "5-Sandal",
    "6-Shirt",
    "7-Sneaker",
    "8-Bag",
    "9-Ankle-boot",
)


@dataclass(frozen=True)
class RemoteFile:
    """SHA-256 of the unpacked content, which decides, and of the upstream .gz, checked before unpacking."""

    content_sha256: str
    upstream_sha256: str


FILES = {
    "train-images-idx3-ubyte.gz": RemoteFile(
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    ),
    "train-labels-idx1-ubyte.gz": RemoteFile(
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    ),
    "t10k-images-idx3-ubyte.gz": RemoteFile(
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    ),
    "t10k-labels-idx1-ubyte.gz": RemoteFile(
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
}
LARGEST_FILE = 64 << 20  # bytes, packed or not: the largest holds 47,040,016 unpacked

LICENCE = """\
The MIT License (MIT)

Copyright © 2017 Zalando SE, https://tech.zalando.com

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the “Software”), to deal in the Software without restriction, including without
limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the
Software, and to permit persons to whom the Software is furnished to do so, subject to the following
conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions
of the Software.

THE SOFTWARE IS PROVIDED “AS IS”, WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED
TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL
THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF
CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER
DEALINGS IN THE SOFTWARE.
"""


def check_content(path: Path, name: str) -> None:
    """Raise DataError unless `path` is a whole gzip file with the content of Fashion-MNIST's file `name`."""
    digest = hashlib.sha256()
    read = 0
    try:
        with gzip.open(path) as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
                read += len(chunk)
                if read > LARGEST_FILE:
                    break
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{name} is damaged ({error})") from None
    if digest.hexdigest() != FILES[name].content_sha256:
        raise DataError(f"{name} does not have the content of Fashion-MNIST (its SHA-256 differs)")


def complete(folder: Path) -> bool:
    """Whether all four files are there; `fetch` puts only checked ones there, whole."""
    return all((folder / name).is_file() for name in FILES)


def open_fashion_mnist(folder: Path, limits: Limits) -> Source:
    """28x28 grey images: 60,000 for training, 10,000 of the official test set, classes in official order."""
    names = np.array(CLASSES)

    def part(prefix: str) -> tuple[np.ndarray, np.ndarray]:
        images = read_idx(folder / f"{prefix}-images-idx3-ubyte.gz", limits)
        labels = read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz", limits)
        if labels.size and labels.max() >= len(names):
            raise DataError(
                f"{folder}: labels of {prefix} must be below {len(names)}; delete the folder and fetch again"
            )
        return images, names[labels]

    return array_source(NAME, {"train": part("train"), "test": part("t10k")}, NAME)
