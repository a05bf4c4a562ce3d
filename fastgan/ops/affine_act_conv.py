"""What the two chain operators share: the checks of arguments, autocast, what is saved, and the gradients.

The gradients are compositions of the bare triple and of torch's elementwise operations and reductions, so
autograd differentiates them again, to any order. Saved are the arguments, the output and its mean; the
activated map is computed again where the gradient for the weight needs it.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from fastgan.reference import affine_act as pointwise
from fastgan.reference import channel_statistics as statistics

ACTIVATIONS = ("none", "leaky_relu", "relu")
ARGUMENTS = (
    "Tensor input, Tensor weight, Tensor? bias, Tensor? scale, Tensor? shift, str activation, "
    "float negative_slope, int[2] stride, int[2] padding"
)
RESULTS = "(Tensor output, Tensor mean, Tensor var)"

_OPERANDS = 3  # the first arguments: input, weight, bias


def checked(
    op: str,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    scale: Tensor | None,
    shift: Tensor | None,
    activation: str,
    negative_slope: float,
    transposed: bool,
) -> tuple[Tensor | None, Tensor | None]:
    """scale and shift in the statistics dtype. Raises ValueError or TypeError where an argument does not fit."""
    if input.ndim != 4:
        raise ValueError(f"{op}: input must be [N, C_in, H, W], got {list(input.shape)}")
    channels = input.shape[1]
    channels_of_weight, outputs = (0, 1) if transposed else (1, 0)
    if weight.ndim != 4 or weight.shape[channels_of_weight] != channels:
        layout = f"[C_in={channels}, C_out, kH, kW]" if transposed else f"[C_out, C_in={channels}, kH, kW]"
        raise ValueError(f"{op}: weight must be {layout} to match input, got {list(weight.shape)}")
    if bias is not None and bias.shape != (weight.shape[outputs],):
        raise ValueError(f"{op}: bias must be [C_out={weight.shape[outputs]}] or None, got {list(bias.shape)}")
    if not input.is_floating_point():
        raise TypeError(f"{op}: input must have a floating dtype, got {_name(input.dtype)}")
    if not torch.is_autocast_enabled(input.device.type):  # which brings them to one dtype
        for name, tensor in (("weight", weight), ("bias", bias)):
            if tensor is not None and tensor.dtype != input.dtype:
                expected = f"{_name(input.dtype)} like input"
                raise TypeError(f"{op}: {name} must be {expected}, got {_name(tensor.dtype)}")
    check_activation(op, activation, negative_slope, ACTIVATIONS)
    return checked_affine(op, input, scale, shift)


def check_activation(op: str, activation: str, negative_slope: float, activations: Sequence[str]) -> None:
    """Raises ValueError for an activation not among `activations` and a slope outside [0, 1]."""
    if activation not in activations:
        raise ValueError(f"{op}: activation must be one of {', '.join(activations)}, got {activation!r}")
    if not 0 <= negative_slope <= 1:
        raise ValueError(f"{op}: negative_slope must be in [0, 1], got {negative_slope}")


def checked_affine(
    op: str, input: Tensor, scale: Tensor | None, shift: Tensor | None
) -> tuple[Tensor | None, Tensor | None]:
    """scale and shift in the statistics dtype, which is what the operators take."""
    samples, channels = input.shape[:2]
    for name, tensor in (("scale", scale), ("shift", shift)):
        if tensor is not None and tuple(tensor.shape) not in ((1, channels), (samples, channels)):
            expected = f"[1, C={channels}] or [N={samples}, C={channels}]"
            raise ValueError(f"{op}: {name} must be {expected}, got {list(tensor.shape)}")
    dtype = pointwise.widened(input.dtype)
    return None if scale is None else scale.to(dtype), None if shift is None else shift.to(dtype)


def pair(op: str, name: str, value: int | Sequence[int], least: int) -> list[int]:
    """`value` for height and width. Raises ValueError unless it is one integer or two, none below `least`."""
    both = [value, value] if isinstance(value, int) else list(value)
    if len(both) != 2 or not all(isinstance(each, int) and each >= least for each in both):
        raise ValueError(f"{op}: {name} must be one or two integers >= {least}, got {value!r}")
    return both


def check_output_size(op: str, input: Tensor, size: Sequence[int]) -> None:
    """Raises ValueError where nothing would come out."""
    if min(size) < 1:
        got = f"{list(input.shape)}, which gives {list(size)}"
        raise ValueError(f"{op}: input must be large enough for an output of 1 x 1, got {got}")


def register_autocast(op: str, call: Callable) -> torch.library.Library:
    """Autocast as convolutions have it: input, weight and bias are cast; scale, shift and statistics are not.

    float64 stays what it is. The registration lasts as long as the library that is returned.
    """
    library = torch.library.Library("fastgan", "FRAGMENT")
    for device, key in (("cpu", "AutocastCPU"), ("cuda", "AutocastCUDA")):
        library.impl(op, _autocast(call, device), key)
    return library


def _autocast(call: Callable, device: str) -> Callable:
    def cast(*arguments):
        dtype = torch.get_autocast_dtype(device)
        operands = [x if x is None or x.dtype == torch.float64 else x.to(dtype) for x in arguments[:_OPERANDS]]
        with torch.autocast(device, enabled=False):
            return call(*operands, *arguments[_OPERANDS:])

    return cast


def save(ctx, inputs, output) -> None:
    """Keep what the gradients of the inputs that need one will read."""
    input, weight, bias, scale, shift, ctx.activation, ctx.negative_slope, ctx.stride, ctx.padding = inputs[:9]
    ctx.input_size, ctx.kernel_size = input.shape[2:], weight.shape[2:]
    by_input, by_weight, _, by_scale, by_shift = ctx.needs_input_grad[:5]
    needed = by_input, by_scale, by_shift
    keep_input = by_weight or pointwise.reads_input(ctx.activation, needed)
    ctx.save_for_backward(
        input if keep_input else None,
        weight if any(needed) else None,
        bias,
        scale,
        shift,
        *output[:2],
    )
    ctx.set_materialize_grads(False)  # statistics nobody uses must not cost a pass over the output


def gradients(
    ctx,
    grads: tuple[Tensor | None, Tensor | None, Tensor | None],
    input_grad: Callable[[Tensor, Tensor], Tensor],
    weight_grad: Callable[[Tensor, Tensor], Tensor],
) -> tuple[Tensor | None, ...]:
    """Gradients for (input, weight, bias, scale, shift) from those for (output, mean, var).

    input_grad(dy, weight) and weight_grad(z, dy): the two gradients of the bare convolution.
    """
    if all(grad is None for grad in grads):
        return (None,) * 5
    input, weight, bias, scale, shift, output, mean = ctx.saved_tensors
    by_input, by_weight, by_bias, by_scale, by_shift = ctx.needs_input_grad[:5]
    needed = by_input, by_scale, by_shift
    affine = scale, shift, ctx.activation, ctx.negative_slope
    dx = dw = db = dscale = dshift = None
    if any(needed) or by_weight:
        dy = statistics.channel_statistics_backward(*grads, output, mean, bias)
    if any(needed):
        dz = input_grad(dy, weight)
        dx, dscale, dshift = pointwise.affine_act_backward(dz, input, *affine, needed)
    if by_weight:
        dw = weight_grad(pointwise.affine_act(input, *affine), dy)
    if by_bias and grads[0] is not None:  # mean and var are those before bias
        db = grads[0].sum((0, 2, 3)).to(bias.dtype)
    return dx, dw, db, dscale, dshift


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
