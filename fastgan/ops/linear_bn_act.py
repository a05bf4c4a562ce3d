"""Backend choice of `linear_bn_act`: the reference is the one backend."""

from fastgan.reference.linear_bn_act import linear_bn_act

__all__ = ["linear_bn_act"]
