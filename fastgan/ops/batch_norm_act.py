"""Backend choice of `batch_norm_act`: the reference is the one backend."""

from fastgan.reference.batch_norm_act import batch_norm_act

__all__ = ["batch_norm_act"]
