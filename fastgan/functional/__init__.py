"""Stateless blocks of a GAN under torch's argument names: convolution or linear map, batch norm, activation.

Nothing here changes its arguments: running statistics come back as numbers and the module that owns the
buffers updates them (`fastgan.nn`). `blocks` are whole blocks, `links` what a chain of them is cut into.
"""

from fastgan.functional.blocks import (
    ACTIVATIONS,
    BnActOutput,
    batch_norm_act,
    conv2d_bn_act,
    conv_transpose2d_bn_act,
    linear_bn_act,
)
from fastgan.functional.links import (
    ChainOutput,
    affine_act,
    affine_act_conv2d,
    affine_act_conv_transpose2d,
    affine_act_uint8,
)

__all__ = [
    "ACTIVATIONS",
    "BnActOutput",
    "ChainOutput",
    "affine_act",
    "affine_act_conv2d",
    "affine_act_conv_transpose2d",
    "affine_act_uint8",
    "batch_norm_act",
    "conv2d_bn_act",
    "conv_transpose2d_bn_act",
    "linear_bn_act",
]
