"""The training step of suite `train-step` as lists of launches: stock torch's, and the same modules after `fuse_`.

The latter also with the loop itself written with less in it (`LeanStep`).
"""

import torch
from fastgan.bench.gpu.launches import Launch, launches
from fastgan.bench.gpu.trace import recorded
from fastgan.bench.network import discriminator_layers, generator_layers
from fastgan.bench.step import LeanStep, TrainingStep
from fastgan.bench.stock import build
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from fastgan import backends
from fastgan.fusion import fuse_

_DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}
Z_DIM = 100


def step_launches(
    fused: bool,
    batch: int,
    size: tuple[int, int],
    width: int,
    precision: str,
    r1: bool,
    lean: bool = False,
) -> list[Launch]:
    """Of one step after the first, channels_last, under autocast unless `precision` is "fp32".

    Nothing is computed: the tensors have shapes and no memory. Operators and their order are those that torch and
    fastgan would launch on a GPU, but for autocast's, whose rules for a CPU are used.
    """
    with FakeTensorMode(), backends.use_backend("triton" if fused else "reference"):
        models = [
            build(generator_layers(size, 3, width, Z_DIM)),
            build(discriminator_layers(size, 3, width)),
        ]
        for model in models:
            _channels_last(fuse_(model) if fused else model)
        z = torch.zeros(batch, Z_DIM)
        x = torch.zeros(batch, 3, *size).contiguous(memory_format=torch.channels_last)
        step = _LeanStep(*models, z, x) if lean else TrainingStep(*models, z, x, r1)
        dtype = _DTYPES[precision]
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            step()
            return launches(recorded(step))


class _LeanStep(LeanStep):
    """With the operator of the losses itself: the functions around it ask for a device that is not here."""

    def _d_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return torch.ops.fastgan.gan_loss(real_logits, fake_logits, "non_saturating")[0]

    def _g_loss(self, fake_logits: Tensor) -> Tensor:
        return torch.ops.fastgan.gan_loss(None, fake_logits, "non_saturating")[1]


def _channels_last(model: nn.Module) -> None:
    """Like `model.to(memory_format=...)`, which does not work on tensors without memory."""
    for module in model.modules():
        for name, value in list(module.named_parameters(recurse=False)):
            if value.ndim == 4:
                laid_out = value.detach().contiguous(memory_format=torch.channels_last)
                setattr(module, name, nn.Parameter(laid_out))
