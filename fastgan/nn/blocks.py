"""The blocks of a GAN as modules: convolution or linear map, batch norm, activation in one call."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fastgan import functional
from fastgan.nn.batch_norm import (
    ConditionalBatchNorm1d,
    ConditionalBatchNorm2d,
    batch_norm_arguments,
    update_running_statistics,
)

__all__ = ["ConvBnAct2d", "ConvTransposeBnAct2d", "LinearBnAct"]


class _BnAct(nn.Module):
    """What the three blocks share: a child `bn`, the activation, and the update of the running statistics."""

    def __init__(self, activation: str, negative_slope: float, num_classes: int):
        super().__init__()
        if activation not in functional.ACTIVATIONS:
            raise ValueError(
                f"{type(self).__name__}: activation must be one of {', '.join(functional.ACTIVATIONS)}, "
                f"got {activation!r}"
            )
        self.activation = activation
        self.negative_slope = negative_slope
        self.num_classes = num_classes

    def _finish(self, result: functional.BnActOutput) -> Tensor:
        update_running_statistics(self.bn, result.mean, result.var)
        return result.output

    def extra_repr(self) -> str:
        slope = f", negative_slope={self.negative_slope}" if self.activation == "leaky_relu" else ""
        return f"activation={self.activation}{slope}"


def _batch_norm_2d(channels: int, num_classes: int, eps: float, momentum: float | None, like: dict) -> nn.Module:
    if num_classes:
        return ConditionalBatchNorm2d(channels, num_classes, eps, momentum, **like)
    return nn.BatchNorm2d(channels, eps, momentum, **like)


class ConvTransposeBnAct2d(_BnAct):
    """`nn.ConvTranspose2d`, batch norm and activation, with parameters under `conv` and `bn`.

    Arguments are those of `nn.ConvTranspose2d` and `nn.BatchNorm2d`; activation is one of
    `fastgan.functional.ACTIVATIONS`. With num_classes > 0 the affine map of the batch norm is a table
    [num_classes, out_channels] and `forward` needs labels.

    forward(input [N, in_channels, H, W], c int64 [N] or None) -> [N, out_channels, H_out, W_out].
    The children hold parameters, buffers and flags (`bn.eval()`, `bn.momentum`) and are never called: forward
    hooks on them do not run.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        output_padding: int | tuple[int, int] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | tuple[int, int] = 1,
        *,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        activation: str = "leaky_relu",
        negative_slope: float = 0.01,
        num_classes: int = 0,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ):
        super().__init__(activation, negative_slope, num_classes)
        like = {"device": device, "dtype": dtype}
        self.conv = nn.ConvTranspose2d(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            output_padding,
            groups,
            bias,
            dilation,
            **like,
        )
        self.bn = _batch_norm_2d(out_channels, num_classes, eps, momentum, like)

    def forward(self, input: Tensor, c: Tensor | None = None) -> Tensor:
        conv = self.conv
        result = functional.conv_transpose2d_bn_act(
            input,
            conv.weight,
            conv.bias,
            conv.stride,
            conv.padding,
            conv.output_padding,
            conv.groups,
            conv.dilation,
            **batch_norm_arguments(self.bn, c),
            activation=self.activation,
            negative_slope=self.negative_slope,
        )
        return self._finish(result)


class ConvBnAct2d(_BnAct):
    """`nn.Conv2d`, batch norm and activation, with parameters under `conv` and `bn`.

    Arguments, labels and children as in `ConvTransposeBnAct2d`, with `nn.Conv2d` in its place (zero padding).
    forward(input [N, in_channels, H, W], c int64 [N] or None) -> [N, out_channels, H_out, W_out].
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        activation: str = "leaky_relu",
        negative_slope: float = 0.01,
        num_classes: int = 0,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ):
        super().__init__(activation, negative_slope, num_classes)
        like = {"device": device, "dtype": dtype}
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, **like)
        self.bn = _batch_norm_2d(out_channels, num_classes, eps, momentum, like)

    def forward(self, input: Tensor, c: Tensor | None = None) -> Tensor:
        conv = self.conv
        result = functional.conv2d_bn_act(
            input,
            conv.weight,
            conv.bias,
            conv.stride,
            conv.padding,
            conv.dilation,
            conv.groups,
            **batch_norm_arguments(self.bn, c),
            activation=self.activation,
            negative_slope=self.negative_slope,
        )
        return self._finish(result)


class LinearBnAct(_BnAct):
    """`nn.Linear`, batch norm per feature and activation, with parameters under `linear` and `bn`.

    Labels and children as in `ConvTransposeBnAct2d`.
    forward(input [N, in_features], c int64 [N] or None) -> [N, out_features].
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        activation: str = "leaky_relu",
        negative_slope: float = 0.01,
        num_classes: int = 0,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ):
        super().__init__(activation, negative_slope, num_classes)
        like = {"device": device, "dtype": dtype}
        self.linear = nn.Linear(in_features, out_features, bias, **like)
        if num_classes:
            self.bn = ConditionalBatchNorm1d(out_features, num_classes, eps, momentum, **like)
        else:
            self.bn = nn.BatchNorm1d(out_features, eps, momentum, **like)

    def forward(self, input: Tensor, c: Tensor | None = None) -> Tensor:
        result = functional.linear_bn_act(
            input,
            self.linear.weight,
            self.linear.bias,
            **batch_norm_arguments(self.bn, c),
            activation=self.activation,
            negative_slope=self.negative_slope,
        )
        return self._finish(result)
