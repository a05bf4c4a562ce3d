"""Gradients of the two chain operators, of first and second order, as compositions.

The pieces are a bare convolution with its two gradients (`Convolution`) and the passes over feature maps
(`Passes`). With differentiable pieces everything here can be differentiated again, to any order; docs/ops.md
writes the formulas out.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from fastgan.reference import affine_act as pointwise
from fastgan.reference import channel_statistics as statistics


class Convolution(NamedTuple):
    """A convolution without bias at one geometry; each function is linear in both arguments.

    forward(z, w) -> y;  input_grad(dy, w) -> dz;  weight_grad(z, dy) -> dw.
    """

    forward: Callable[[Tensor, Tensor], Tensor]
    input_grad: Callable[[Tensor, Tensor], Tensor]
    weight_grad: Callable[[Tensor, Tensor], Tensor]


class Passes(NamedTuple):
    """The passes over feature maps around a convolution, with the signatures of their definitions."""

    affine_act: Callable
    affine_act_backward: Callable
    channel_statistics: Callable
    channel_statistics_backward: Callable


STOCK = Passes(
    pointwise.affine_act,
    pointwise.affine_act_backward,
    statistics.channel_statistics,
    statistics.channel_statistics_backward,
)


class Saved(NamedTuple):
    """What the forward pass leaves for the gradients; the arguments of the operator, its output and mean.

    None for what the gradients asked for do not read.
    """

    input: Tensor | None
    weight: Tensor | None
    bias: Tensor | None
    scale: Tensor | None
    shift: Tensor | None
    output: Tensor | None
    mean: Tensor | None


Grads = tuple[Tensor | None, Tensor | None, Tensor | None]


def gradients(
    convolution: Convolution,
    passes: Passes,
    grads: Grads,
    saved: Saved,
    activation: str,
    negative_slope: float,
    needed: tuple[bool, ...],
) -> list[Tensor | None]:
    """Gradients for (input, weight, bias, scale, shift), None where not `needed`, from those for (y, mean, var).

    1. dy = gy + gmean / n + 2 * gvar * (y - b - mean) / n;
    2. dz = input_grad(dy, w), and from it dx, dscale, dshift (`affine_act_backward`);
    3. dw = weight_grad(z, dy), z computed again;  4. db = sum of gy: mean and var are those before the bias.
    """
    affine = saved.scale, saved.shift, activation, negative_slope
    by_input, by_weight, by_bias, by_scale, by_shift = needed
    by_map = by_input, by_scale, by_shift
    dx = dw = db = dscale = dshift = None
    if any(by_map) or by_weight:
        dy = passes.channel_statistics_backward(*grads, saved.output, saved.mean, saved.bias)
    if any(by_map):
        dz = convolution.input_grad(dy, saved.weight)
        dx, dscale, dshift = passes.affine_act_backward(dz, saved.input, *affine, by_map)
    if by_weight:
        dw = convolution.weight_grad(passes.affine_act(saved.input, *affine), dy)
    if by_bias and grads[0] is not None:
        db = grads[0].sum((0, 2, 3)).to(saved.bias.dtype)
    return [dx, dw, db, dscale, dshift]


def second_gradients(
    convolution: Convolution,
    ups: tuple[Tensor | None, ...],
    grads: Grads,
    saved: Saved,
    activation: str,
    negative_slope: float,
    needed: dict[str, bool],
) -> dict[str, Tensor | None]:
    """Gradients of `gradients` by its tensors, from `ups`, those for (dx, dw, db, dscale, dshift), None for zero.

    needed and the result have the keys grad_output, grad_mean, grad_var and the fields of `Saved`. With
    u the ups, a' = act' (constant on either side of 0) and

        p = s * ux + x * us + ut            r = forward(a' * p, w) + forward(z, uw)            (to dy)
        q = a' * input_grad(dy, uw)         dv = a' * input_grad(dy, w)

    to w: weight_grad(a' * p, dy);  to x: us * dv + s * q;  to s: sum of (ux * dv + x * q);  to t: sum of q;
    to gy: r + ub;  to gmean: sum of r / n;  to gvar: 2 / n * sum of r * (y - b - mean);
    to y: 2 * gvar * r / n, and minus its sum to mean and to b.
    """
    x, w, b, s, t, y, mean = saved
    grad_output, _, grad_var = grads
    ux, uw, ub, us, ut = ups
    results: dict[str, Tensor | None] = dict.fromkeys(needed)
    by_dy = any(needed[name] for name in ("grad_output", "grad_mean", "grad_var", "output", "mean", "bias"))
    by_map = needed["input"] or needed["scale"] or needed["shift"]
    masked = None
    if ux is not None or us is not None or ut is not None:
        masked = _masked(_tangent(saved, ux, us, ut), saved, activation, negative_slope)
    dy = None
    if (needed["weight"] and masked is not None) or by_map:
        dy = statistics.channel_statistics_backward(*grads, y, mean, b)
    if needed["weight"] and masked is not None:
        results["weight"] = convolution.weight_grad(masked, dy)
    if by_map:
        results.update(_to_map(convolution, ups, dy, saved, activation, negative_slope, needed))
    if by_dy:
        parts = [] if masked is None else [convolution.forward(masked, w)]
        if uw is not None:
            z = pointwise.affine_act(x, s, t, activation, negative_slope)
            parts.append(convolution.forward(z, uw))
        if parts:
            results.update(_through_dy(sum(parts[1:], parts[0]), grad_var, b, y, mean, needed))
    if needed["grad_output"] and ub is not None:
        by_bias = ub.view(-1, 1, 1).to(grad_output.dtype).expand(grad_output.shape)
        have = results["grad_output"]
        results["grad_output"] = by_bias if have is None else have + by_bias
    return results


def _tangent(saved: Saved, ux: Tensor | None, us: Tensor | None, ut: Tensor | None) -> Tensor:
    """p = s * ux + x * us + ut, in the statistics dtype; not all three None."""
    like = saved.input if saved.input is not None else ux
    parts = []
    if ux is not None:
        parts.append(ux if saved.scale is None else pointwise.per_map(saved.scale, ux) * ux)
    if us is not None:
        parts.append(pointwise.per_map(us, like) * saved.input)
    if ut is not None:
        parts.append(pointwise.per_map(ut, like).expand(like.shape))
    return sum(parts[1:], parts[0]).to(pointwise.widened(like.dtype))


def _masked(dz: Tensor, saved: Saved, activation: str, negative_slope: float) -> Tensor:
    """a' * dz in the dtype of the feature maps and where they lie, for the convolution."""
    affine = saved.scale, saved.shift, activation, negative_slope
    dtype = saved.input.dtype if saved.input is not None else saved.weight.dtype
    masked = pointwise.activation_backward(dz, saved.input, *affine).to(dtype)
    return laid_out(masked, layout(dz, saved.input))


def _to_map(
    convolution: Convolution,
    ups: tuple[Tensor | None, ...],
    dy: Tensor,
    saved: Saved,
    activation: str,
    negative_slope: float,
    needed: dict[str, bool],
) -> dict[str, Tensor | None]:
    """The gradients by input, scale and shift."""
    ux, uw, _, us, _ = ups
    x, _, _, s, t, *_ = saved
    affine = s, t, activation, negative_slope
    to_x: list[Tensor] = []
    to_s: list[Tensor] = []
    to_t = None
    if uw is not None:
        q = pointwise.activation_backward(convolution.input_grad(dy, uw), x, *affine)
        to_x.append(q if s is None else pointwise.per_map(s, q) * q)
        to_s.append(x * q)
        to_t = q
    if us is not None or (ux is not None and s is not None):
        dv = pointwise.activation_backward(convolution.input_grad(dy, saved.weight), x, *affine)
        if us is not None:
            to_x.append(pointwise.per_map(us, dv) * dv)
        if ux is not None:
            to_s.append(ux * dv)
    results: dict[str, Tensor | None] = {}
    if needed["input"] and to_x:
        results["input"] = sum(to_x[1:], to_x[0]).to(x.dtype)
    if needed["scale"] and to_s:
        results["scale"] = pointwise.sum_to(sum(to_s[1:], to_s[0]), s)
    if needed["shift"] and to_t is not None:
        results["shift"] = pointwise.sum_to(to_t, t)
    return results


def _through_dy(
    r: Tensor, grad_var: Tensor | None, b: Tensor | None, y: Tensor | None, mean: Tensor | None, needed: dict[str, bool]
) -> dict[str, Tensor | None]:
    """What r, the gradient for dy, gives to what dy is made of."""
    count = r.numel() // max(r.shape[1], 1)
    results: dict[str, Tensor | None] = {}
    if needed["grad_output"]:
        results["grad_output"] = r
    wide = r.to(pointwise.widened(r.dtype))
    if needed["grad_mean"]:
        results["grad_mean"] = wide.sum((0, 2, 3)) / count
    if needed["grad_var"]:
        results["grad_var"] = 2 / count * (wide * statistics.centred(y, mean, b)).sum((0, 2, 3))
    if grad_var is not None and (needed["output"] or needed["mean"] or needed["bias"]):
        to_y = (2 / count * grad_var).view(-1, 1, 1) * wide
        total = -to_y.sum((0, 2, 3))
        results["output"] = to_y.to(y.dtype) if needed["output"] else None
        results["mean"] = total if needed["mean"] else None
        results["bias"] = total.to(b.dtype) if needed["bias"] else None
    return results


def layout(*maps: Tensor | None) -> torch.memory_format:
    """The memory format of a convolution's result: channels_last where one of its operands is, as ATen decides."""
    last = any(each is not None and is_channels_last(each) for each in maps)
    return torch.channels_last if last else torch.contiguous_format


def is_channels_last(x: Tensor) -> bool:
    """Whether the strides of x [N, C, H, W] are in the order of NHWC and not of NCHW, as ATen decides.

    A map of one channel or of one pixel is the same memory in both: of it the strides of the sides of size 1, which
    nothing else reads, say what it was made as.
    """
    least = 0
    for dimension in (1, 3, 2, 0):
        size, stride = x.shape[dimension], x.stride(dimension)
        # The strides of [N, 1, 1, 1] say nothing; it counts as NCHW.
        if size == 0 or stride == 0 or stride < least or (dimension == 0 and least == x.stride(1)):
            return False
        least = stride * size
    return True


def laid_out(x: Tensor, format: torch.memory_format) -> Tensor:
    """x [N, C, H, W] with the strides of a tensor made in that memory format; a copy only where elements have to move.

    `contiguous` alone leaves a map of one channel or of one pixel the strides that it has; and on fake tensors of a
    device that is not there it fails where it would copy.
    """
    if not x.is_contiguous(memory_format=format):
        x = x.clone(memory_format=format)
    if is_channels_last(x) == (format == torch.channels_last):
        return x
    n, c, h, w = x.shape
    if format == torch.channels_last:
        return x.view(n, h, w, c).permute(0, 3, 1, 2)
    # A view of the same shape would keep its strides on fake tensors.
    return x.flatten(1).view(n, c, h, w)
