"""A whole training step on device 'cuda' without a GPU: every operator runs there on tensors without memory.

torch's autograd engine asks a device type for its streams, so the step itself runs on fake CPU tensors; each operator
that it runs, those of the backward passes and of Adam among them, is run once more on fake CUDA tensors, each of
which mirrors a CPU one. Reading a number (item, bool, tolist, nonzero) raises on both: nothing waits for the device,
so a step may be captured into a CUDA graph.
"""

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.weak import WeakIdKeyDictionary

import fastgan
from fastgan import backends

CUDA = torch.device("cuda", 0)


class OnCuda(TorchDispatchMode):
    """Runs every operator also on CUDA tensors; `names` are those that ran."""

    def __init__(self):
        super().__init__()
        self.mirrors = WeakIdKeyDictionary()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if str(func).startswith(("prim.device", "profiler.")):
            return result
        mirrored = func(*tree_map(self.mirror, args), **tree_map(self.mirror, kwargs))
        for ours, theirs in zip(tree_leaves(result), tree_leaves(mirrored), strict=True):
            if isinstance(ours, torch.Tensor):
                assert theirs.device == CUDA, f"{func} leaves the device"
                assert (theirs.shape, theirs.stride(), theirs.dtype) == (ours.shape, ours.stride(), ours.dtype), func
                self.mirrors[ours] = theirs
        self.names.append(str(func))
        return result

    def mirror(self, value):
        if isinstance(value, torch.device):
            return CUDA
        if not isinstance(value, torch.Tensor):
            return value
        if value not in self.mirrors:
            like = value.size(), value.stride()
            self.mirrors[value] = torch.empty_strided(*like, dtype=value.dtype, device=CUDA)
        return self.mirrors[value]


def networks() -> tuple[nn.Module, nn.Module]:
    generator = nn.Sequential(
        nn.Linear(16, 64 * 4 * 4),
        nn.Unflatten(1, (64, 4, 4)),
        nn.ConvTranspose2d(64, 32, 4, 2, 1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.ConvTranspose2d(32, 3, 4, 2, 1),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(3, 32, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(32, 64, 4, 2, 1, bias=False),
        nn.BatchNorm2d(64),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(64 * 4 * 4, 1),
    )
    return fastgan.fuse_(generator), fastgan.fuse_(discriminator)


def step(precision: torch.dtype, loss=lambda logits: F.softplus(-logits).mean(), r1: bool = False) -> list[str]:
    with FakeTensorMode(), backends.use_backend("triton"):
        generator, discriminator = networks()
        adams = [torch.optim.Adam(each.parameters(), fused=True) for each in (generator, discriminator)]
        z, real = torch.zeros(8, 16), torch.zeros(8, 3, 16, 16, requires_grad=r1)
        with OnCuda() as recorder:
            with torch.autocast("cpu", precision, enabled=precision != torch.float32):
                fake = generator(z)
                logits = discriminator(real)
                d_loss = loss(logits) + loss(-discriminator(fake.detach()))
            if r1:
                (slope,) = torch.autograd.grad(logits.float().sum(), real, create_graph=True)
                d_loss = d_loss + slope.square().sum()
            d_loss.backward()
            adams[1].step()
            with torch.autocast("cpu", precision, enabled=precision != torch.float32):
                g_loss = loss(discriminator(fake))
            g_loss.backward()
            adams[0].step()
    return recorder.names


@pytest.mark.parametrize("r1", [False, True], ids=["plain", "r1"])
@pytest.mark.parametrize("precision", [torch.float32, torch.float16, torch.bfloat16], ids=["fp32", "fp16", "bf16"])
def test_a_step_never_waits_for_the_device(precision, r1):
    names = step(precision, r1=r1)
    for op in ("affine_act_conv2d", "affine_act_conv_transpose2d", "affine_act", "batch_norm_affine"):
        assert f"fastgan.{op}.default" in names and f"fastgan.{op}_backward.default" in names
    assert names.count("aten._fused_adam_.default") == 2
    assert not any(name.startswith(("aten.convolution", "aten.native_batch_norm")) for name in names)


def test_a_step_that_reads_a_number_is_caught():
    def loss(logits):
        return F.softplus(-logits).mean() / max(1.0, logits.mean().item())

    with pytest.raises(DataDependentOutputException):
        step(torch.float32, loss)
