"""What the two chain operators share: schemas, autocast, leaves, and the wiring of autograd.

Each operator F has a second one, F_backward, for its gradients: one call a backward pass. What is saved are the
arguments, the output and its mean; the activated map is computed again where the gradient for the weight
needs it. The maths is in `fastgan.reference.affine_act_conv`.

Weight and bias may be wider than the maps, as autocast has them: they count as rounded to the dtype of the maps, by
whoever reads them, and their gradients have their own dtype and layout. So nobody has to store them twice.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from fastgan import backends
from fastgan.ops import affine_act_passes, cuda_leaves, native_leaves, shape_class, triton_leaves
from fastgan.ops.affine_act_passes import ACTIVATION
from fastgan.ops.cpu_passes import CPU, NATIVE_DTYPES, measured_fastest
from fastgan.ops.cuda_leaves import CUDA_DTYPES
from fastgan.ops.triton_leaves import TRITON_DTYPES
from fastgan.reference import affine_act as pointwise
from fastgan.reference.affine_act_conv import (
    STOCK,
    Convolution,
    Passes,
    Saved,
    gradients,
    laid_out,
    layout,
    second_gradients,
)
from fastgan.reference.channel_statistics import no_statistics

OPERANDS = (
    "Tensor input, Tensor weight, Tensor? bias, Tensor? scale, Tensor? shift, str activation, "
    "float negative_slope, int[2] stride, int[2] padding"
)
RESULTS = "(Tensor output, Tensor mean, Tensor var)"
_BACKWARD_SCHEMA = (
    "(Tensor? grad_output, Tensor? grad_mean, Tensor? grad_var, Tensor? input, Tensor? weight, Tensor? bias, "
    "Tensor? scale, Tensor? shift, Tensor? output, Tensor? mean, str activation, float negative_slope, "
    "int[2] stride, int[2] padding, SymInt[2] input_size, SymInt[2] output_size, SymInt[2] kernel_size, "
    "bool[5] needed) -> (Tensor, Tensor, Tensor, Tensor, Tensor)"
)
_TENSORS = 5  # the first arguments of F: input, weight, bias, scale, shift
_WIDE = (torch.float32, torch.float64)


class Geometry(NamedTuple):
    """Where the taps of one convolution lie: sizes are (height, width), input and output those of F."""

    stride: Sequence[int]
    padding: Sequence[int]
    input_size: Sequence[int]
    output_size: Sequence[int]
    kernel_size: Sequence[int]


class ChainOperator(NamedTuple):
    """What differs between the two.

    convolution(geometry): the bare convolution and its gradients, from the registered triple.
    definition(input, weight, bias, scale, shift, activation, negative_slope, *options): F in stock torch.
    """

    name: str
    transposed: bool
    convolution: Callable[[Geometry], Convolution]
    definition: Callable


def register(op: ChainOperator, extra: str = "") -> Callable:
    """Define fastgan::<name> and fastgan::<name>_backward; returns F's overload.

    extra: what the schema has between padding and statistics.
    """
    for each in (op.name, f"{op.name}_backward"):
        backends.register(each, NATIVE_DTYPES | TRITON_DTYPES | CUDA_DTYPES, auto={"cpu": measured_fastest})
    name, backward_name = f"fastgan::{op.name}", f"fastgan::{op.name}_backward"
    torch.library.define(name, f"({OPERANDS}{extra}, bool statistics) -> {RESULTS}")
    torch.library.define(backward_name, _BACKWARD_SCHEMA)
    call = getattr(torch.ops.fastgan, op.name).default
    backward_call = getattr(torch.ops.fastgan, f"{op.name}_backward").default

    torch.library.impl(name, ("cpu", "cuda"), _runner(op))
    torch.library.register_fake(name, _fake(op))
    torch.library.register_autograd(name, _backward(backward_call), setup_context=_saver(op))

    torch.library.impl(backward_name, ("cpu", "cuda"), _backward_runner(op))
    torch.library.register_fake(backward_name, lambda *arguments: _backward_by(op, STOCK, *arguments))
    torch.library.register_autograd(backward_name, _second_backward(op), setup_context=_save_all)
    _LIBRARIES.append(_register_autocast(op.name, call))
    return call


_LIBRARIES: list[torch.library.Library] = []  # their registrations last as long as they do


def _runner(op: ChainOperator) -> Callable:
    def run(input: Tensor, weight: Tensor, bias: Tensor | None, *arguments):
        backend = backends.choose(
            op.name, input.device.type, input.dtype, lambda: _shape_class(op, input, weight, *arguments)
        )
        leaves = _WHOLE.get(backend)
        parameters = weight, bias
        if leaves is None or not leaves.READS_WIDE:
            parameters = _like_maps(input.dtype, weight, bias)
        if leaves is not None:
            results = _forward_by(leaves, op, input, *parameters, *arguments)
        elif backend == "aten":
            results = _forward_by_aten(op, input, *parameters, *arguments)
        else:
            results = op.definition(input, *parameters, *arguments)
        backends.note_ran(op.name, backend)
        return _beside(input, weight, results)

    return run


def _shape_class(op: ChainOperator, input: Tensor, weight: Tensor, scale, shift, activation, slope, *options) -> str:
    *where, _ = options
    geometry = geometry_of(op, input, weight, *where)
    return shape_class.of_convolution(
        op.transposed, input, weight, geometry.stride, geometry.padding, geometry.output_size
    )


def _fake(op: ChainOperator) -> Callable:
    def fake(input: Tensor, weight: Tensor, bias: Tensor | None, *arguments):
        return _beside(input, weight, op.definition(input, *_like_maps(input.dtype, weight, bias), *arguments))

    return fake


def _like_maps(dtype: torch.dtype, *parameters: Tensor | None) -> list[Tensor | None]:
    """Weight and bias as they count: rounded to the dtype of the maps."""
    return [each if each is None else each.to(dtype) for each in parameters]


def _beside(input: Tensor, weight: Tensor, results) -> tuple[Tensor, Tensor, Tensor]:
    """The results of F, y lying in memory as its operands do."""
    y, mean, var = results
    return laid_out(y, layout(input, weight)), mean, var


def geometry_of(op: ChainOperator, input: Tensor, weight: Tensor, stride, padding, output_padding=(0, 0)) -> Geometry:
    """The geometry of a call of F; the sizes may be symbolic."""
    sides = zip(input.shape[2:], weight.shape[2:], stride, padding, output_padding, strict=True)
    if op.transposed:
        size = [(side - 1) * step - 2 * pad + k + extra for side, k, step, pad, extra in sides]
    else:
        size = [(side + 2 * pad - k) // step + 1 for side, k, step, pad, _ in sides]
    return Geometry(stride, padding, input.shape[2:], size, weight.shape[2:])


def _forward_by_aten(op: ChainOperator, input, weight, bias, scale, shift, activation, negative_slope, *options):
    *where, statistics = options
    z = input
    if activation != "none" or scale is not None or shift is not None:
        z = CPU.affine_act(input, scale, shift, activation, negative_slope)
    # The definition of what is left, with nothing in front and no statistics behind.
    y, *nothing = op.definition(z, weight, bias, None, None, "none", 1.0, *where, False)
    return y, *(CPU.channel_statistics(y, bias) if statistics else nothing)


# Namespaces of the leaves that run F whole, and of those that run its gradients so: the same names, arguments and
# results. The other backends take the convolutions of stock torch between these passes.
_WHOLE = {"cpu": native_leaves, "triton": triton_leaves, "cuda": cuda_leaves}
_WHOLE_BACKWARD = {"cpu": native_leaves, "triton": triton_leaves}
_ON_CUDA = affine_act_passes.CUDA
_PASSES = {
    "aten": CPU,
    "cuda": STOCK._replace(affine_act=_ON_CUDA.affine_act, affine_act_backward=_ON_CUDA.affine_act_backward),
    "reference": STOCK,
}


def _forward_by(leaves, op: ChainOperator, input, weight, bias, scale, shift, activation, negative_slope, *options):
    *where, statistics = options
    geometry = geometry_of(op, input, weight, *where)
    y, *rest = leaves.affine_act_conv(
        input,
        weight,
        bias,
        scale,
        shift,
        ACTIVATION[activation],
        negative_slope,
        geometry.stride,
        geometry.padding,
        geometry.output_size,
        op.transposed,
        statistics,
    )
    return y, *(rest if statistics else no_statistics(y))


def _backward_runner(op: ChainOperator) -> Callable:
    def run(*arguments):
        like = next(each for each in arguments[:10] if each is not None)
        dtype = _map_dtype(arguments)
        name = f"{op.name}_backward"
        backend = backends.choose(
            name, like.device.type, dtype, lambda: shape_class.of_convolution_backward(op.transposed, arguments)
        )
        # Gradients are taken in the dtype of the forward pass, also inside an autocast block.
        with torch.autocast(like.device.type, enabled=False):
            if backend in _WHOLE_BACKWARD:
                results = _whole_backward_by(_WHOLE_BACKWARD[backend], op, *arguments)
            else:
                results = _backward_by(op, _PASSES[backend], *arguments)
        backends.note_ran(name, backend)
        return results

    return run


def _map_dtype(tensors: Sequence[Tensor | None]) -> torch.dtype:
    """That of the maps among the first arguments of F_backward; all are vectors where there is none."""
    grad_output, input, weight, output = (tensors[i] for i in (0, 3, 4, 8))
    return next(each.dtype for each in (grad_output, input, output, weight) if each is not None)


def _backward_by(op: ChainOperator, passes: Passes, *arguments) -> tuple[Tensor, ...]:
    grads, saved, options, geometry, needed = _unpacked(arguments)
    results = gradients(op.convolution(geometry), passes, grads, _like_saved_maps(arguments, saved), *options, needed)
    return _laid_out(results, grads, saved)


def _like_saved_maps(arguments: tuple, saved: Saved) -> Saved:
    weight, bias = _like_maps(_map_dtype(arguments), saved.weight, saved.bias)
    return saved._replace(weight=weight, bias=bias)


def _whole_backward_by(leaves, op: ChainOperator, *arguments) -> tuple[Tensor, ...]:
    grads, given, (activation, negative_slope), geometry, needed = _unpacked(arguments)
    saved = given if leaves.READS_WIDE else _like_saved_maps(arguments, given)
    by_input, by_weight, by_bias, by_scale, by_shift = needed
    affine = saved.scale, saved.shift, ACTIVATION[activation], negative_slope, geometry.stride, geometry.padding
    by_dy = *grads, saved.output, saved.mean, saved.bias
    dx = dw = db = dscale = dshift = None
    if by_input or by_scale or by_shift:
        dx, dscale, dshift = leaves.affine_act_conv_input_grad(
            *by_dy,
            saved.weight,
            saved.input,
            *affine,
            geometry.input_size,
            op.transposed,
            by_input,
            by_scale,
            by_shift,
        )
    if by_weight:
        dw, db = leaves.affine_act_conv_weight_grad(
            *by_dy,
            saved.input,
            *affine,
            geometry.kernel_size,
            op.transposed,
            dtype=given.weight.dtype,
            bias_dtype=given.bias.dtype if by_bias else None,
        )
    elif by_bias:
        db = native_leaves.bias_grad(grads[0], given.bias.dtype)
    results = [dx if by_input else None, dw, db, dscale if by_scale else None, dshift if by_shift else None]
    return _laid_out(results, grads, given)


def _unpacked(arguments):
    grads, saved = arguments[:3], Saved(*arguments[3:10])
    activation, negative_slope, *geometry, needed = arguments[10:]
    return grads, saved, (activation, negative_slope), Geometry(*geometry), needed


def _laid_out(results: list[Tensor | None], grads, saved: Saved) -> tuple[Tensor, ...]:
    """The five gradients, a tensor of size [0] for each that is None.

    dx lies in memory as its operands do, dw and db have layout and dtype of what they are gradients for.
    """
    like = next(each for each in (*grads, *saved) if each is not None)
    dx, dw, db, *rest = results
    if dx is not None:
        dx = laid_out(dx, layout(grads[0], saved.input, saved.output, saved.weight))
    if dw is not None:
        dw = laid_out(dw.to(saved.weight.dtype), layout(saved.weight))
    if db is not None:
        db = db.to(saved.bias.dtype)
    return tuple(like.new_empty(0) if each is None else each for each in (dx, dw, db, *rest))


def _saver(op: ChainOperator) -> Callable:
    """Keep what the gradients of the inputs that need one will read."""

    def save(ctx, inputs, output) -> None:
        input, weight, bias, scale, shift, ctx.activation, ctx.negative_slope, *where, statistics = inputs
        ctx.geometry = geometry_of(op, input, weight, *where)
        by_input, by_weight, _, by_scale, by_shift = ctx.needs_input_grad[:_TENSORS]
        by_map = by_input, by_scale, by_shift
        ctx.save_for_backward(
            input if by_weight or pointwise.reads_input(ctx.activation, by_map) else None,
            weight if by_weight or any(by_map) else None,  # its own gradient has its dtype and layout
            bias,
            scale,
            shift,
            *(output[:2] if statistics else (None, None)),
        )
        if not statistics:
            ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)  # statistics nobody uses must not cost a pass over the output
        ctx.others = len(inputs) - _TENSORS

    return save


def _backward(backward_call: Callable) -> Callable:
    def backward(ctx, *grads: Tensor | None):
        nothing = (None,) * ctx.others
        if all(grad is None for grad in grads):
            return (*(None,) * _TENSORS, *nothing)
        needed = ctx.needs_input_grad[:_TENSORS]
        results = backward_call(
            *grads, *ctx.saved_tensors, ctx.activation, ctx.negative_slope, *ctx.geometry, list(needed)
        )
        given = [
            result if wanted and result.shape != (0,) else None for result, wanted in zip(results, needed, strict=True)
        ]
        return (*given, *nothing)

    return backward


_TENSORS_OF_BACKWARD = ("grad_output", "grad_mean", "grad_var", *Saved._fields)


def _save_all(ctx, inputs, output) -> None:
    ctx.save_for_backward(*inputs[: len(_TENSORS_OF_BACKWARD)])
    ctx.options = inputs[len(_TENSORS_OF_BACKWARD) :]
    ctx.set_materialize_grads(False)


def _second_backward(op: ChainOperator) -> Callable:
    def backward(ctx, *ups: Tensor | None):
        tensors = ctx.saved_tensors
        activation, negative_slope, *geometry, given = ctx.options
        ups = tuple(up if up is not None and there else None for up, there in zip(ups, given, strict=True))
        needed = dict(zip(_TENSORS_OF_BACKWARD, ctx.needs_input_grad, strict=False))
        convolution = op.convolution(Geometry(*geometry))
        saved = _like_saved_maps(tensors, Saved(*tensors[3:]))
        ux, uw, *others = ups
        ups = ux, None if uw is None else uw.to(saved.weight.dtype), *others
        results = second_gradients(convolution, ups, tensors[:3], saved, activation, negative_slope, needed)
        for name, given in (("weight", tensors[4]), ("bias", tensors[5])):
            if results[name] is not None:
                results[name] = results[name].to(given.dtype)
        return (*results.values(), *(None,) * len(ctx.options))

    return backward


def _register_autocast(op: str, call: Callable) -> torch.library.Library:
    """Autocast as convolutions have it: the input is cast, weight and bias count as if they were; the rest is not.

    float64 stays what it is.
    """
    library = torch.library.Library("fastgan", "FRAGMENT")
    for device, key in (("cpu", "AutocastCPU"), ("cuda", "AutocastCUDA")):
        library.impl(op, _autocast(call, device), key)
    return library


def _autocast(call: Callable, device: str) -> Callable:
    def cast(*arguments):
        input, *parameters = arguments[:3]
        if input.dtype != torch.float64:
            input = input.to(torch.get_autocast_dtype(device))
        # Rounding float32 twice would not be rounding it once.
        parameters = [x if x is None or x.dtype in _WIDE else x.to(input.dtype) for x in parameters]
        with torch.autocast(device, enabled=False):
            return call(input, *parameters, *arguments[3:])

    return cast
