"""Statistics per channel of a convolution's output and their gradient, in stock torch.

With y [N, C, H, W] as it is stored (rounded to its dtype), b the bias [C] contained in it (0 if none) and
n = N * H * W:

    mean_c = 1/n sum of (y - b)        var_c = 1/n sum of (y - b - mean)^2        (biased)

"Before bias" so that a convolution in front of a batch norm may leave its bias, which cancels there, out of y
and still report the same numbers: the mean of y is mean + b. var does not depend on b.
"""

import torch
from torch import Tensor

from fastgan.reference.affine_act import widened


def channel_statistics(output: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """(mean, var), both [C], in float32 or wider; NaN for an empty batch. Differentiable to any order.

    Welford's running mean and sum of squares, on the CPU in float64: exact to rounding however far the mean is
    from 0 in units of the standard deviation.
    """
    var, mean = torch.var_mean(_without_bias(output, bias), (0, 2, 3), correction=0)
    return mean, var


def no_statistics(output: Tensor) -> tuple[Tensor, Tensor]:
    """What stands in the place of (mean, var) where nobody asked for them: two empty tensors."""
    nothing = {"dtype": widened(output.dtype), "device": output.device}
    return torch.empty(0, **nothing), torch.empty(0, **nothing)


def channel_statistics_backward(
    grad_output: Tensor | None,
    grad_mean: Tensor | None,
    grad_var: Tensor | None,
    output: Tensor | None,
    mean: Tensor | None,
    bias: Tensor | None,
) -> Tensor:
    """The gradient for the convolution in front: dy = gy + gmean / n + 2 * gvar * (y - b - mean) / n.

    grad_output: [N, C, H, W]; grad_mean, grad_var: [C]; None, for zero, in at most two of them.
    output and mean may be None where grad_mean and grad_var are: nothing reads them.
    Returns dy in the dtype of output.
    """
    dy = grad_output
    count = 0 if output is None else output.numel() // max(output.shape[1], 1)
    if grad_var is not None:
        by_var = _per_channel(2 * grad_var / count) * centred(output, mean, bias)
        dy = by_var if dy is None else dy + by_var
    if grad_mean is not None:
        by_mean = _per_channel(grad_mean / count)
        dy = by_mean.expand(output.shape) if dy is None else dy + by_mean
    return dy if output is None else dy.to(output.dtype)


def centred(output: Tensor, mean: Tensor, bias: Tensor | None) -> Tensor:
    """y - b - mean, in float32 or wider."""
    return _without_bias(output, bias) - _per_channel(mean)


def _without_bias(output: Tensor, bias: Tensor | None) -> Tensor:
    output = output.to(widened(output.dtype))
    return output if bias is None else output - _per_channel(bias)


def _per_channel(vector: Tensor) -> Tensor:
    return vector.view(-1, 1, 1)
