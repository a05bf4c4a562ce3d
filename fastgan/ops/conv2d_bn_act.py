"""Backend choice of `conv2d_bn_act`: the reference is the one backend."""

from fastgan.reference.conv2d_bn_act import conv2d_bn_act

__all__ = ["conv2d_bn_act"]
