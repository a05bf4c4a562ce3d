"""Whole blocks: a convolution, a linear map or nothing, then batch norm and activation; arguments checked here."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from fastgan import chain
from fastgan.ops.batch_norm_act import batch_norm_act as _batch_norm_act
from fastgan.ops.conv2d_bn_act import conv2d_bn_act as _conv2d_bn_act
from fastgan.ops.conv_transpose2d_bn_act import conv_transpose2d_bn_act as _conv_transpose2d_bn_act
from fastgan.ops.linear_bn_act import linear_bn_act as _linear_bn_act

__all__ = [
    "ACTIVATIONS",
    "BnActOutput",
    "batch_norm_act",
    "conv2d_bn_act",
    "conv_transpose2d_bn_act",
    "linear_bn_act",
]

ACTIVATIONS = ("leaky_relu", "relu", "tanh", "none")


class BnActOutput(NamedTuple):
    """What a block returns.

    output: the activated tensor.
    mean, var: [C]; in training the batch's mean and unbiased variance (what torch mixes into running
    statistics), not differentiable; in evaluation the running ones as they were given.
    """

    output: Tensor
    mean: Tensor
    var: Tensor


def conv_transpose2d_bn_act(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    output_padding: int | tuple[int, int] = 0,
    groups: int = 1,
    dilation: int | tuple[int, int] = 1,
    *,
    bn_weight: Tensor | None = None,
    bn_bias: Tensor | None = None,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    training: bool = False,
    eps: float = 1e-5,
    activation: str = "leaky_relu",
    negative_slope: float = 0.01,
) -> BnActOutput:
    """Transposed convolution, batch norm, activation.

    input: [N, C_in, H, W]; weight: [C_in, C_out / groups, kH, kW]; the rest of the convolution as in
    `torch.nn.functional.conv_transpose2d`. The batch norm and the activation are those of `batch_norm_act`.
    Returns `BnActOutput`, output [N, C_out, H_out, W_out]; channels_last is kept. Differentiable to any
    order.
    Raises ValueError for shapes that do not fit and unknown activations.
    """
    op = "conv_transpose2d_bn_act"
    _check_dims(op, "input", input, 4, "[N, C_in, H, W]")
    _check_dims(op, "weight", weight, 4, "[C_in, C_out / groups, kH, kW]")
    if weight.shape[0] != input.shape[1]:
        raise ValueError(
            f"{op}: weight must be [C_in={input.shape[1]}, C_out / groups, kH, kW] to match input, "
            f"got {list(weight.shape)}"
        )
    channels = weight.shape[1] * groups
    _check_batch_norm(op, input.shape[0], channels, bn_weight, bn_bias, running_mean, running_var, training)
    _check_activation(op, activation, negative_slope)
    if _in_chain(input, groups, dilation, activation, negative_slope):
        map = chain.conv_transpose2d(
            chain.feature_map(input),
            weight,
            bias,
            stride,
            padding,
            output_padding,
            before_batch_norm=True,
            statistics=training,
        )
        batch_norm = bn_weight, bn_bias, running_mean, running_var, training, eps
        return _end_of_chain(map, batch_norm, activation, negative_slope)
    return BnActOutput(
        *_conv_transpose2d_bn_act(
            input,
            weight,
            bias,
            stride,
            padding,
            output_padding,
            groups,
            dilation,
            bn_weight,
            bn_bias,
            running_mean,
            running_var,
            training,
            eps,
            activation,
            negative_slope,
        )
    )


def conv2d_bn_act(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] | str = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
    *,
    bn_weight: Tensor | None = None,
    bn_bias: Tensor | None = None,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    training: bool = False,
    eps: float = 1e-5,
    activation: str = "leaky_relu",
    negative_slope: float = 0.01,
) -> BnActOutput:
    """Convolution, batch norm, activation.

    input: [N, C_in, H, W]; weight: [C_out, C_in / groups, kH, kW]; the rest of the convolution as in
    `torch.nn.functional.conv2d`. The batch norm and the activation are those of `batch_norm_act`.
    Returns `BnActOutput`, output [N, C_out, H_out, W_out]; channels_last is kept. Differentiable to any
    order.
    Raises ValueError for shapes that do not fit and unknown activations.
    """
    op = "conv2d_bn_act"
    _check_dims(op, "input", input, 4, "[N, C_in, H, W]")
    _check_dims(op, "weight", weight, 4, "[C_out, C_in / groups, kH, kW]")
    if weight.shape[1] * groups != input.shape[1]:
        raise ValueError(
            f"{op}: weight must be [C_out, C_in / groups={input.shape[1] // groups}, kH, kW] to match input, "
            f"got {list(weight.shape)}"
        )
    channels = weight.shape[0]
    _check_batch_norm(op, input.shape[0], channels, bn_weight, bn_bias, running_mean, running_var, training)
    _check_activation(op, activation, negative_slope)
    if _in_chain(input, groups, dilation, activation, negative_slope) and not isinstance(padding, str):
        map = chain.conv2d(
            chain.feature_map(input), weight, bias, stride, padding, before_batch_norm=True, statistics=training
        )
        batch_norm = bn_weight, bn_bias, running_mean, running_var, training, eps
        return _end_of_chain(map, batch_norm, activation, negative_slope)
    return BnActOutput(
        *_conv2d_bn_act(
            input,
            weight,
            bias,
            stride,
            padding,
            dilation,
            groups,
            bn_weight,
            bn_bias,
            running_mean,
            running_var,
            training,
            eps,
            activation,
            negative_slope,
        )
    )


def linear_bn_act(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    bn_weight: Tensor | None = None,
    bn_bias: Tensor | None = None,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    training: bool = False,
    eps: float = 1e-5,
    activation: str = "leaky_relu",
    negative_slope: float = 0.01,
) -> BnActOutput:
    """Linear map, batch norm per feature, activation.

    input: [N, in_features]; weight: [out_features, in_features]; bias: [out_features] or None. The batch
    norm and the activation are those of `batch_norm_act`. Returns `BnActOutput`, output [N,
    out_features].
    Raises ValueError for shapes that do not fit and unknown activations.
    """
    op = "linear_bn_act"
    _check_dims(op, "input", input, 2, "[N, in_features]")
    if weight.ndim != 2 or weight.shape[1] != input.shape[1]:
        raise ValueError(
            f"{op}: weight must be [out_features, in_features={input.shape[1]}] to match input, "
            f"got {list(weight.shape)}"
        )
    channels = weight.shape[0]
    _check_batch_norm(op, input.shape[0], channels, bn_weight, bn_bias, running_mean, running_var, training)
    _check_activation(op, activation, negative_slope)
    return BnActOutput(
        *_linear_bn_act(
            input,
            weight,
            bias,
            bn_weight,
            bn_bias,
            running_mean,
            running_var,
            training,
            eps,
            activation,
            negative_slope,
        )
    )


def batch_norm_act(
    input: Tensor,
    *,
    bn_weight: Tensor | None = None,
    bn_bias: Tensor | None = None,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    training: bool = False,
    eps: float = 1e-5,
    activation: str = "leaky_relu",
    negative_slope: float = 0.01,
) -> BnActOutput:
    """Batch norm, affine map, activation: act(bn_weight * (input - mean) / sqrt(var + eps) + bn_bias).

    input: [N, C] or [N, C, ...].
    bn_weight, bn_bias: both [C], both [N, C] (one affine map per sample: conditional batch norm) or both
    None.
    running_mean, running_var: [C]; needed unless training, where they are not read.
    training: use the (biased) variance of this batch. Needs more than one value per channel.
    activation: "leaky_relu" (with negative_slope >= 0), "relu", "tanh" or "none".
    Returns `BnActOutput`. Differentiable to any order in input, bn_weight and bn_bias.
    """
    op = "batch_norm_act"
    if input.ndim < 2:
        raise ValueError(f"{op}: input must be [N, C, ...], got {list(input.shape)}")
    samples, channels = input.shape[:2]
    _check_batch_norm(op, samples, channels, bn_weight, bn_bias, running_mean, running_var, training)
    _check_activation(op, activation, negative_slope)
    return BnActOutput(
        *_batch_norm_act(
            input,
            bn_weight,
            bn_bias,
            running_mean,
            running_var,
            training,
            eps,
            activation,
            negative_slope,
        )
    )


def _in_chain(
    input: Tensor, groups: int, dilation: int | tuple[int, int], activation: str, negative_slope: float
) -> bool:
    """Whether the operators of a chain take this block; if not, it is ATen's."""
    both = (dilation, dilation) if isinstance(dilation, int) else tuple(dilation)
    sloped = activation == "leaky_relu" and negative_slope > 1
    return groups == 1 and both == (1, 1) and not sloped and chain.pays(input)


def _end_of_chain(
    map: chain.FeatureMap, batch_norm: tuple[Any, ...], activation: str, negative_slope: float
) -> BnActOutput:
    map, mean, var = chain.batch_norm(map, *batch_norm)
    return BnActOutput(chain.materialise(chain.activate(map, activation, negative_slope)), mean, var)


def _check_dims(op: str, name: str, tensor: Tensor, ndim: int, shape: str) -> None:
    if tensor.ndim != ndim:
        raise ValueError(f"{op}: {name} must be {shape}, got {list(tensor.shape)}")


def _check_batch_norm(
    op: str,
    samples: int,
    channels: int,
    bn_weight: Tensor | None,
    bn_bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
) -> None:
    if (bn_weight is None) != (bn_bias is None):
        given, missing = ("bn_weight", "bn_bias") if bn_bias is None else ("bn_bias", "bn_weight")
        raise ValueError(f"{op}: {missing} must be given together with {given}, got None")
    for name, tensor in (("bn_weight", bn_weight), ("bn_bias", bn_bias)):
        if tensor is not None and tensor.shape not in ((channels,), (samples, channels)):
            expected = f"[C={channels}] or [N={samples}, C={channels}]"
            raise ValueError(f"{op}: {name} must be {expected}, got {list(tensor.shape)}")
    if bn_weight is not None and bn_weight.ndim != bn_bias.ndim:
        expected = f"the shape of bn_weight {list(bn_weight.shape)}"
        raise ValueError(f"{op}: bn_bias must have {expected}, got {list(bn_bias.shape)}")
    if training:
        return
    for name, tensor in (("running_mean", running_mean), ("running_var", running_var)):
        if tensor is None or tensor.shape != (channels,):
            got = None if tensor is None else list(tensor.shape)
            raise ValueError(f"{op}: {name} must be [C={channels}] when training is False, got {got}")


def _check_activation(op: str, activation: str, negative_slope: float) -> None:
    if activation not in ACTIVATIONS:
        raise ValueError(f"{op}: activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}")
    if not negative_slope >= 0:
        raise ValueError(f"{op}: negative_slope must be >= 0, got {negative_slope}")
