"""Backend choice of `conv_transpose2d_bn_act`: the reference is the one backend."""

from fastgan.reference.conv_transpose2d_bn_act import conv_transpose2d_bn_act

__all__ = ["conv_transpose2d_bn_act"]
