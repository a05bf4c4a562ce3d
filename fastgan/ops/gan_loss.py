"""The operator fastgan::gan_loss: schema, fake, autograd, and the choice of the backend. No maths.

One pass gives both losses, monitor statistics and every first derivative; the backward pass only scales
those. Because they are saved numbers, `gan_loss_backward` is an operator of its own whose derivative goes
back to the definition: second and higher derivatives are exact.
"""

import importlib
from collections.abc import Callable

import torch
from torch import Tensor

from fastgan import backends, native
from fastgan.reference import gan_loss as reference

_HALVES = frozenset({torch.float16, torch.bfloat16})
_ALL = _HALVES | {torch.float32, torch.float64}
_DTYPES = {"cpu": _ALL, "cuda": _ALL, "triton": _HALVES | {torch.float32}}
backends.register("gan_loss", _DTYPES, auto={"cpu": "cpu"})
# Stock torch is measured faster where one loss alone is asked for, and for the pairs of rpgan, whose eager form
# is one softplus (fastgan bench ops): auto leaves these to it.
for _slower in ("discriminator_loss", "generator_loss", "gan_loss_paired"):
    backends.register(_slower, _DTYPES, auto={})

torch.library.define(
    "fastgan::gan_loss",
    "(Tensor? real_logits, Tensor fake_logits, str family) -> (Tensor d_loss, Tensor g_loss, "
    "Tensor statistics, Tensor d_grad_real, Tensor d_grad_fake, Tensor g_grad_real, Tensor g_grad_fake)",
)
torch.library.define(
    "fastgan::gan_loss_backward",
    "(Tensor? grad_d_loss, Tensor? grad_g_loss, Tensor? real_logits, Tensor fake_logits, "
    "Tensor d_grad_real, Tensor d_grad_fake, Tensor g_grad_real, Tensor g_grad_fake, str family) -> "
    "(Tensor grad_real, Tensor grad_fake)",
)


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor, family: str) -> Tensor:
    """d_loss on the chosen backend; the reference runs as plain torch and computes no more than this."""
    if _chosen("discriminator_loss", fake_logits) == "reference":
        return _noted(reference.discriminator_loss(real_logits, fake_logits, family))
    return torch.ops.fastgan.gan_loss(real_logits, fake_logits, family)[0]


def generator_loss(real_logits: Tensor | None, fake_logits: Tensor, family: str) -> Tensor:
    """g_loss on the chosen backend; reals are passed on only where the family pairs them."""
    real_logits = real_logits if family in reference.PAIRED else None
    if _chosen("generator_loss", fake_logits) == "reference":
        return _noted(reference.generator_loss(real_logits, fake_logits, family))
    return torch.ops.fastgan.gan_loss(real_logits, fake_logits, family)[1]


def gan_loss(real_logits: Tensor, fake_logits: Tensor, family: str) -> tuple[Tensor, Tensor, Tensor]:
    """d_loss, g_loss and the statistics [4] on the chosen backend."""
    if _chosen(_whole(family), fake_logits) == "reference":
        d_loss = reference.discriminator_loss(real_logits, fake_logits, family)
        g_loss = reference.generator_loss(real_logits, fake_logits, family)
        return d_loss, g_loss, _noted(reference.statistics(real_logits, fake_logits))
    return torch.ops.fastgan.gan_loss(real_logits, fake_logits, family)[:3]


def _whole(family: str) -> str:
    return "gan_loss_paired" if family in reference.PAIRED else "gan_loss"


def _chosen(op: str, logits: Tensor) -> str:
    return backends.choose(op, logits.device.type, logits.dtype)


def _noted(result: Tensor) -> Tensor:
    if not torch.compiler.is_compiling():
        backends.note_ran("gan_loss", "reference")
    return result


def _reference_leaf(real: Tensor | None, fake: Tensor, family: str) -> tuple[Tensor, ...]:
    gradients = reference.gradients(real, fake, family)
    d_loss = reference.discriminator_loss(real, fake, family)
    g_loss = reference.generator_loss(real, fake, family)
    statistics = reference.statistics(real, fake)
    return (
        d_loss,
        g_loss,
        statistics,
        *(fake.new_empty(0, dtype=d_loss.dtype) if g is None else g.contiguous() for g in gradients),
    )


def _native_leaf(real: Tensor | None, fake: Tensor, family: str) -> tuple[Tensor, ...]:
    return torch.ops.fastgan_C.gan_loss(real, fake, reference.FAMILIES.index(family))


def _cuda_leaf(real: Tensor | None, fake: Tensor, family: str) -> tuple[Tensor, ...]:
    return native.cuda_operators().gan_loss(real, fake, reference.FAMILIES.index(family))


def _triton_leaf(real: Tensor | None, fake: Tensor, family: str) -> tuple[Tensor, ...]:
    # Here, because fastgan must import where triton is not installed.
    kernels = importlib.import_module("fastgan.kernels.gan_loss")
    return kernels.gan_loss(real, fake, reference.FAMILIES.index(family))


_LEAVES: dict[str, Callable[..., tuple[Tensor, ...]]] = {
    "reference": _reference_leaf,
    "cpu": _native_leaf,
    "cuda": _cuda_leaf,
    "triton": _triton_leaf,
}


@torch.library.impl("fastgan::gan_loss", ("cpu", "cuda"))
def _gan_loss(real_logits: Tensor | None, fake_logits: Tensor, family: str) -> tuple[Tensor, ...]:
    backend = _chosen(_whole(family), fake_logits)
    results = _LEAVES[backend](real_logits, fake_logits, family)
    backends.note_ran("gan_loss", backend)
    return results


@torch.library.register_fake("fastgan::gan_loss")
def _gan_loss_fake(real_logits: Tensor | None, fake_logits: Tensor, family: str) -> tuple[Tensor, ...]:
    dtype = torch.float64 if fake_logits.dtype == torch.float64 else torch.float32

    def empty(shape: torch.Size | tuple[int, ...]) -> Tensor:
        return fake_logits.new_empty(shape, dtype=dtype)

    real_shape = (0,) if real_logits is None else real_logits.shape
    g_real_shape = real_shape if family in reference.PAIRED else (0,)
    shapes = ((), (), (4,), real_shape, fake_logits.shape, g_real_shape, fake_logits.shape)
    return tuple(empty(shape) for shape in shapes)


def _save(ctx, inputs, output) -> None:
    real_logits, fake_logits, ctx.family = inputs
    ctx.save_for_backward(real_logits, fake_logits, *output[3:])
    ctx.mark_non_differentiable(*output[2:])
    ctx.set_materialize_grads(False)  # a loss nobody differentiates must not cost or spread anything


def _backward(ctx, grad_d_loss, grad_g_loss, *_):
    if grad_d_loss is None and grad_g_loss is None:
        return None, None, None
    # Without create_graph nobody differentiates this: the numbers do, without an operator around them.
    backward = torch.ops.fastgan.gan_loss_backward if torch.is_grad_enabled() else _gan_loss_backward
    grads = backward(grad_d_loss, grad_g_loss, *ctx.saved_tensors, ctx.family)
    return *(g if needed else None for g, needed in zip(grads, ctx.needs_input_grad, strict=False)), None


torch.library.register_autograd("fastgan::gan_loss", _backward, setup_context=_save)


def _gan_loss_backward(grad_d_loss, grad_g_loss, real_logits, fake_logits, *saved):
    d_grad_real, d_grad_fake, g_grad_real, g_grad_fake, family = saved
    absent = fake_logits.new_empty(0)
    paired = g_grad_real if family in reference.PAIRED else None
    scale = reference.scale_gradients
    return (
        absent if real_logits is None else scale(grad_d_loss, grad_g_loss, d_grad_real, paired, real_logits),
        scale(grad_d_loss, grad_g_loss, d_grad_fake, g_grad_fake, fake_logits),
    )


torch.library.impl("fastgan::gan_loss_backward", ("cpu", "cuda"), _gan_loss_backward)


@torch.library.register_fake("fastgan::gan_loss_backward")
def _gan_loss_backward_fake(grad_d_loss, grad_g_loss, real_logits, fake_logits, *saved):
    real = fake_logits.new_empty(0) if real_logits is None else real_logits.new_empty(real_logits.shape)
    return real, fake_logits.new_empty(fake_logits.shape)


def _save_backward(ctx, inputs, output) -> None:
    ctx.save_for_backward(*inputs[:4])
    ctx.family = inputs[-1]
    ctx.set_materialize_grads(False)


def _double_backward(ctx, v_real, v_fake):
    grads = reference.double_backward(*ctx.saved_tensors, v_real, v_fake, ctx.family)
    return *grads, None, None, None, None, None


torch.library.register_autograd("fastgan::gan_loss_backward", _double_backward, setup_context=_save_backward)
