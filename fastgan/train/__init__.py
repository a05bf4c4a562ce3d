"""Training: `train(source, out, options=TrainOptions(...))` is the Python twin of `fastgan train`."""

from fastgan.train.options import TrainOptions
from fastgan.train.session import Outcome, resume, train

__all__ = ["Outcome", "TrainOptions", "resume", "train"]
