"""The operator fastgan::frozen_generator: schema, fake, and the choice of the backend. No maths, no derivative.

It runs the plan of `fastgan.reference.frozen_generator`, which travels as numbers (`encode`). `packed` are the weights
of the convolutions in the order in which the native kernels read them, from `pack` (float32) or `pack_for_cuda`
(bytes); a backend that finds others packs for itself.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from fastgan import backends, native
from fastgan.reference import frozen_generator as reference

_NAME = "frozen_generator"
# Without AVX2 the kernels are slower than torch's libraries, which use it where the machine has it.
backends.register(
    _NAME,
    {"cpu": frozenset({torch.float32}), "cuda": frozenset(reference.PRECISIONS.values())},
    auto={"cpu": lambda capability: "reference" if capability in ("", "default") else "cpu"},
)

torch.library.define(
    f"fastgan::{_NAME}",
    "(Tensor z, Tensor? c, Tensor[] tensors, Tensor[] packed, int[] program, float[] slopes, int[3] image, str output, "
    "str precision, bool batch_invariant) -> Tensor",
)
frozen_generator = torch.ops.fastgan.frozen_generator.default


def backend(device_type: str, precision: str) -> str:
    """The backend that runs the operator on tensors of this device type at this precision.

    Raises BackendError when a forced backend cannot.
    """
    return backends.choose(_NAME, device_type, reference.PRECISIONS[precision])


def pack(tensors: Sequence[Tensor], steps: Sequence[reference.Step]) -> list[Tensor]:
    """The weights of the plan's convolutions as the native kernels read them; [] where there are none for them.

    Each is float32 [numbers + 1] on the CPU, of which the last is 1 if all weights are finite, else 0.
    """
    if any(tensor.device.type != "cpu" for tensor in tensors) or backends.unavailable("cpu"):
        return []
    return _packed(torch.ops.fastgan_C.frozen_generator_pack, tensors, steps, "fp32")


def pack_for_cuda(tensors: Sequence[Tensor], steps: Sequence[reference.Step], precision: str) -> list[Tensor]:
    """The same as the CUDA kernels read them at this precision: uint8, where the tensors are."""
    return _packed(native.cuda_operators().frozen_generator_pack, tensors, steps, precision)


def _packed(pack_one, tensors, steps, precision: str) -> list[Tensor]:
    convolutions = [step for step in steps if isinstance(step, reference.Convolution)]
    number = _number(precision)
    return [pack_one(tensors[step.weight], reference.encode([step])[0], number) for step in convolutions]


def _number(precision: str) -> int:
    return list(reference.PRECISIONS).index(precision)


def _are(packed: Sequence[Tensor], dtype: torch.dtype) -> bool:
    return bool(packed) and all(each.dtype == dtype for each in packed)


@torch.library.impl(f"fastgan::{_NAME}", ("cpu", "cuda"))
def _run(z, c, tensors, packed, program, slopes, image, output, precision, batch_invariant) -> Tensor:
    chosen = backend(z.device.type, precision)
    if chosen == "reference":
        steps = reference.decode(program, slopes)
        with torch.autocast(z.device.type, enabled=False):
            result = reference.frozen_generator(z, c, tensors, steps, image, output, precision, batch_invariant)
    elif chosen == "cpu":
        if not _are(packed, torch.float32):
            packed = pack(tensors, reference.decode(program, slopes))
        leaf = torch.ops.fastgan_C.frozen_generator
        result = leaf(z, c, tensors, packed, program, slopes, image, output == "uint8", _number(precision))
    else:
        if not _are(packed, torch.uint8):
            packed = pack_for_cuda(tensors, reference.decode(program, slopes), precision)
        leaf = native.cuda_operators().frozen_generator
        result = leaf(z, c, tensors, packed, program, slopes, image, output == "uint8", _number(precision))
    backends.note_ran(_NAME, chosen)
    return result


@torch.library.register_fake(f"fastgan::{_NAME}")
def _fake(z, c, tensors, packed, program, slopes, image, output, precision, batch_invariant) -> Tensor:
    channels, height, width = image
    dtype = torch.uint8 if output == "uint8" else torch.float32
    result = z.new_empty((z.shape[0], height, width, channels), dtype=dtype)
    return result if output == "uint8" else result.permute(0, 3, 1, 2)


def _save(ctx, inputs, output) -> None:
    if inputs[7] == "uint8":
        ctx.mark_non_differentiable(output)


def _backward(ctx, grad_output: Tensor):
    raise RuntimeError(
        "frozen_generator: a frozen generator has no derivative, but a gradient was asked for: "
        "differentiate the model it was made from"
    )


torch.library.register_autograd(f"fastgan::{_NAME}", _backward, setup_context=_save)
