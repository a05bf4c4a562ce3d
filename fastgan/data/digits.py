"""The 1,797 handwritten digits that come with scikit-learn (BSD-3-Clause): always there.

E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998.
"""

import numpy as np

from fastgan.data.arrays import array_source
from fastgan.data.sample import Source


def open_digits() -> Source:
    """8x8 grey images of 10 classes; the stored levels 0..16 become 0..255."""
    from sklearn.datasets import load_digits  # imported here: half a second that only this set needs

    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    return array_source("digits", {None: (images, bunch.target)}, "digits")
