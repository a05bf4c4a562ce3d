"""The operators fastgan::affine_act, its _backward, and affine_act_uint8: schema, fake, autograd, backend.

affine_act materialises a feature map at the end of a chain, or where someone else looks at it. Saved are its
arguments. affine_act_uint8 ends in pixels and has no derivative.
"""

import torch
from torch import Tensor

from fastgan import backends
from fastgan.ops import shape_class
from fastgan.ops.affine_act_passes import CUDA, CUDA_DTYPES, NATIVE, TRITON
from fastgan.ops.checks import check_activation, checked_affine
from fastgan.ops.cpu_passes import NATIVE_DTYPES, measured_fastest
from fastgan.ops.triton_leaves import TRITON_DTYPES
from fastgan.reference import affine_act as reference
from fastgan.reference.affine_act_conv import laid_out, layout

_NAME = "affine_act"
_PASSES = {"reference": reference, "aten": NATIVE, "cpu": NATIVE, "triton": TRITON, "cuda": CUDA}
for _each in (_NAME, f"{_NAME}_backward"):
    backends.register(_each, NATIVE_DTYPES | TRITON_DTYPES | CUDA_DTYPES, auto={"cpu": measured_fastest})

torch.library.define(
    f"fastgan::{_NAME}",
    "(Tensor input, Tensor? scale, Tensor? shift, str activation, float negative_slope) -> Tensor",
)
torch.library.define(
    f"fastgan::{_NAME}_backward",
    "(Tensor grad_output, Tensor? input, Tensor? scale, Tensor? shift, str activation, float negative_slope, "
    "bool[3] needed) -> (Tensor, Tensor, Tensor)",
)
torch.library.define(
    f"fastgan::{_NAME}_uint8",
    "(Tensor input, Tensor? scale, Tensor? shift, str activation, float negative_slope) -> Tensor",
)
_call = torch.ops.fastgan.affine_act.default
_uint8_call = torch.ops.fastgan.affine_act_uint8.default
_backward_call = torch.ops.fastgan.affine_act_backward.default


def affine_act(
    input: Tensor, scale: Tensor | None, shift: Tensor | None, activation: str, negative_slope: float
) -> Tensor:
    """act(scale * input + shift) of `fastgan.reference.affine_act` on the chosen backend, a new tensor.

    input: [N, C, ...]; scale, shift: [1 or N, C] or None; activation: "none", "leaky_relu", "relu" or "tanh".
    Raises ValueError or TypeError where an argument does not fit.
    """
    if input.ndim < 2:
        raise ValueError(f"{_NAME}: input must be [N, C, ...], got {list(input.shape)}")
    return _call(input, *_checked(_NAME, input, scale, shift, activation, negative_slope), activation, negative_slope)


def affine_act_uint8(
    input: Tensor, scale: Tensor | None, shift: Tensor | None, activation: str, negative_slope: float
) -> Tensor:
    """Pixels uint8 [N, C, H, W], channels_last in memory, of `fastgan.reference.affine_act.affine_act_uint8`.

    input: [N, C, H, W]; the rest and what is raised as in `affine_act`.
    """
    op = f"{_NAME}_uint8"
    if input.ndim != 4:
        raise ValueError(f"{op}: input must be [N, C, H, W], got {list(input.shape)}")
    affine = _checked(op, input, scale, shift, activation, negative_slope)
    return _uint8_call(input.detach(), *affine, activation, negative_slope)


def _checked(
    op: str, input: Tensor, scale: Tensor | None, shift: Tensor | None, activation: str, negative_slope: float
) -> tuple[Tensor | None, Tensor | None]:
    if not input.is_floating_point():
        raise TypeError(f"{op}: input must have a floating dtype, got {str(input.dtype).removeprefix('torch.')}")
    check_activation(op, activation, negative_slope, reference.ACTIVATIONS)
    return checked_affine(op, input, scale, shift)


@torch.library.impl(f"fastgan::{_NAME}", ("cpu", "cuda"))
def _run(input: Tensor, *arguments) -> Tensor:
    backend = backends.choose(_NAME, input.device.type, input.dtype, lambda: shape_class.of_map(input))
    result = _beside(input, _new(_PASSES[backend].affine_act(input, *arguments), input))
    backends.note_ran(_NAME, backend)
    return result


@torch.library.register_fake(f"fastgan::{_NAME}")
def _fake(input: Tensor, *arguments) -> Tensor:
    return _beside(input, _new(reference.affine_act(input, *arguments), input))


@torch.library.impl(f"fastgan::{_NAME}_uint8", ("cpu", "cuda"))
def _run_uint8(input: Tensor, *arguments) -> Tensor:
    backend = backends.choose(_NAME, input.device.type, input.dtype, lambda: shape_class.of_map(input))
    pixels = _PASSES[backend].affine_act_uint8(input, *arguments)
    backends.note_ran(f"{_NAME}_uint8", backend)
    return pixels


torch.library.register_fake(f"fastgan::{_NAME}_uint8", reference.affine_act_uint8)


@torch.library.impl(f"fastgan::{_NAME}_backward", ("cpu", "cuda"))
def _run_backward(grad_output: Tensor, *arguments) -> tuple[Tensor, Tensor, Tensor]:
    name = f"{_NAME}_backward"
    device, dtype = grad_output.device.type, grad_output.dtype
    backend = backends.choose(name, device, dtype, lambda: shape_class.of_map(grad_output))
    results = _backward_by(_PASSES[backend], grad_output, *arguments)
    backends.note_ran(name, backend)
    return results


@torch.library.register_fake(f"fastgan::{_NAME}_backward")
def _fake_backward(*arguments) -> tuple[Tensor, Tensor, Tensor]:
    return _backward_by(reference, *arguments)


def _backward_by(passes, grad_output: Tensor, *arguments) -> tuple[Tensor, Tensor, Tensor]:
    """The three gradients; a tensor of size [0] for each that is not needed."""
    results = passes.affine_act_backward(grad_output, *arguments)
    dx, *rest = (grad_output.new_empty(0) if each is None else _new(each, grad_output) for each in results)
    return _beside(grad_output if arguments[0] is None else arguments[0], dx), *rest


def _new(result: Tensor, argument: Tensor) -> Tensor:
    """An operator must not return its argument."""
    return result.clone() if result is argument else result


def _beside(map: Tensor, result: Tensor) -> Tensor:
    """The result, lying in memory as the map that it was computed from."""
    return laid_out(result, layout(map)) if result.ndim == 4 else result


def _save(ctx, inputs, output) -> None:
    input, scale, shift, ctx.activation, ctx.negative_slope = inputs
    keep_input = reference.reads_input(ctx.activation, ctx.needs_input_grad[:3])
    ctx.save_for_backward(input if keep_input else None, scale, shift)


def _backward(ctx, grad_output: Tensor):
    needed = ctx.needs_input_grad[:3]
    results = _backward_call(grad_output, *ctx.saved_tensors, ctx.activation, ctx.negative_slope, list(needed))
    gradients = [result if wanted else None for result, wanted in zip(results, needed, strict=True)]
    return *gradients, None, None


def _save_all(ctx, inputs, output) -> None:
    ctx.save_for_backward(*inputs[:4])
    ctx.options = inputs[4:]
    ctx.set_materialize_grads(False)


def _second_backward(ctx, *ups: Tensor | None):
    """The definition once more, differentiated by autograd: elementwise, and exact to any order."""
    again = torch.is_grad_enabled()
    wanted = ctx.needs_input_grad[:4]
    with torch.enable_grad():
        # Views: partial derivatives, whatever the tensors themselves were made from.
        tensors = [
            each if each is None or not want else (each.view_as(each) if again else each.detach().requires_grad_())
            for each, want in zip(ctx.saved_tensors, wanted, strict=True)
        ]
        results = reference.affine_act_backward(*tensors, *ctx.options)
        given = [
            (result, up)
            for result, up in zip(results, ups, strict=True)
            if result is not None and up is not None and result.requires_grad
        ]
        if not given:
            return (None,) * (4 + len(ctx.options))
        inputs = [tensor for tensor, want in zip(tensors, wanted, strict=True) if want]
        outputs, ups = zip(*given, strict=True)
        found = iter(torch.autograd.grad(outputs, inputs, ups, create_graph=again, allow_unused=True))
    return (*(next(found) if want else None for want in wanted), *(None,) * len(ctx.options))


torch.library.register_autograd(f"fastgan::{_NAME}", _backward, setup_context=_save)
torch.library.register_autograd(f"fastgan::{_NAME}_backward", _second_backward, setup_context=_save_all)
