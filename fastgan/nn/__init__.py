"""Modules for GANs: blocks with parameters, buffers and torch's argument names."""

from fastgan.nn.batch_norm import ConditionalBatchNorm1d, ConditionalBatchNorm2d
from fastgan.nn.blocks import ConvBnAct2d, ConvTransposeBnAct2d, LinearBnAct
from fastgan.nn.chain import run

__all__ = [
    "ConditionalBatchNorm1d",
    "ConditionalBatchNorm2d",
    "ConvBnAct2d",
    "ConvTransposeBnAct2d",
    "LinearBnAct",
    "run",
]
