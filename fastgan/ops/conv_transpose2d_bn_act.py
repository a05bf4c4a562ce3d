"""`conv_transpose2d_bn_act` in stock torch, for what no chain takes: groups, dilation, steep slopes, string padding."""

from fastgan.reference.conv_transpose2d_bn_act import conv_transpose2d_bn_act

__all__ = ["conv_transpose2d_bn_act"]
