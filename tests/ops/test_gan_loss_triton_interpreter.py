"""gan_loss in Triton without a GPU: run in the interpreter, and compiled ahead of time for two architectures.

Each in a process of its own: a process is either interpreter or compiler.
"""

import importlib.util
import json

import pytest
from support.processes import run_python


@pytest.fixture(autouse=True)
def _triton(need):
    need("triton is not installed" if importlib.util.find_spec("triton") is None else None, "triton")


INTERPRETED = """
import itertools, json, sys
import torch
from support.tolerances import assert_as_good_as
from fastgan import backends, losses
from fastgan.reference import gan_loss as reference

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True, warn_only=True)  # poisons fresh memory

def logits(family, shapes, dtype, scale):
    generator = torch.Generator().manual_seed(0)
    shapes = (shapes[0], shapes[0]) if family in reference.PAIRED else shapes
    return [torch.randn(s, generator=generator).mul(scale).to(dtype).requires_grad_() for s in shapes]

def with_gradients(d, g, real, fake):
    upstream = 0.7 * torch.ones_like(d), -1.9 * torch.ones_like(g)
    return [d, g, *torch.autograd.grad((d, g), (real, fake), upstream)]

def stock(real, fake, family):
    d, g = reference.discriminator_loss(real, fake, family), reference.generator_loss(real, fake, family)
    return with_gradients(d, g, real, fake)

def triton(real, fake, family):
    with backends.use_backend("triton"), backends.record() as runs:
        both = losses.gan_loss(real, fake, family=family)
        ran.extend(run.backend for run in runs)
        return both.statistics, with_gradients(both.d_loss, both.g_loss, real, fake)

ran = []
dtypes, shapes = (torch.float32, torch.float16, torch.bfloat16), (((1,), (1,)), ((7, 3), (1025,)))
cases = [(dtype, shape, 3.0) for dtype in dtypes for shape in shapes]
cases += [(torch.float32, ((301,), (301,)), scale) for scale in (0.0, 20.0, 95.0, 1e4)]
for family, (dtype, shapes, scale) in itertools.product(losses.FAMILIES, cases):
    real, fake = logits(family, shapes, dtype, scale)
    statistics, ours = triton(real, fake, family)
    wide = [x.detach().double().requires_grad_() for x in (real, fake)]
    for actual, by_stock, exact in zip(ours, stock(real, fake, family), stock(*wide, family), strict=True):
        assert_as_good_as(actual, by_stock, exact)
    expected = reference.statistics(real, fake)
    torch.testing.assert_close(torch.stack(statistics), expected, rtol=1e-5, atol=1e-6)

odd = [float("nan"), float("inf"), -float("inf"), 0.0, 1.0, -1.0]
pairs = [(x, 1.0) for x in odd] + [(1.0, x) for x in odd]
for family, pair in itertools.product(losses.FAMILIES, pairs):  # one at a time: NaNs hide each other in a mean
    real, fake = (torch.tensor([value], requires_grad=True) for value in pair)
    _, ours = triton(real, fake, family)
    for actual, by_stock in zip(ours, stock(real, fake, family), strict=True):
        assert torch.equal(actual.isfinite(), by_stock.isfinite()), family

with backends.use_backend("triton"):  # a step without reals
    fake = torch.linspace(-3, 3, 50).requires_grad_()
    g_loss = losses.generator_loss(None, fake, family="hinge")
    assert abs(g_loss.item() + fake.mean().item()) < 1e-6
    (grad,) = torch.autograd.grad(g_loss, fake)
    assert torch.allclose(grad, torch.full((50,), -1 / 50))
json.dump(ran, sys.stdout)
"""

AHEAD_OF_TIME = """
import json, sys
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from fastgan.kernels import gan_loss as kernels

def compiled(kernel, arch, **types):
    constants = {k: v for k, v in types.items() if not isinstance(v, str)}
    signature = {k: "constexpr" if k in constants else v for k, v in types.items()}
    names = list(signature)
    source = ASTSource(kernel, signature, {(names.index(k),): v for k, v in constants.items()})
    return triton.compile(source, target=GPUTarget("cuda", arch, 32))

F32, COUNTS = "*fp32", dict(real_count="i32", fake_count="i32")
outputs = {name: F32 for name in ("d_grad_real_ptr", "d_grad_fake_ptr", "g_grad_real_ptr", "g_grad_fake_ptr")}
sizes = []
for arch in (80, 90):
    for family, logits in ((0, "*bf16"), (1, "*fp32"), (2, "*fp16"), (3, "*fp32"), (4, "*bf16")):
        tile = compiled(kernels._gan_loss_tile_kernel, arch, partial_ptr="*fp64", **outputs, real_ptr=logits,
                        fake_ptr=logits, **COUNTS, FAMILY=family)
        assert "libdevice" not in tile.asm["ttir"] and "atom" not in tile.asm["ptx"]
        sizes.append(len(tile.asm["cubin"]))
    merge = compiled(kernels._gan_loss_merge_kernel, arch, d_loss_ptr=F32, g_loss_ptr=F32, statistics_ptr=F32,
                     partial_ptr="*fp64", tiles="i32", **COUNTS, BLOCK=256)
    sizes.append(len(merge.asm["cubin"]))
json.dump(sizes, sys.stdout)
"""


def test_interpreter(tmp_path, request):
    tests = str(request.config.rootpath / "tests")
    ran = json.loads(run_python(INTERPRETED, TRITON_INTERPRET="1", PYTHONPATH=tests, TRITON_CACHE_DIR=str(tmp_path)))
    assert len(ran) == 110 and set(ran) == {"triton"}


def test_ahead_of_time(tmp_path):
    sizes = json.loads(run_python(AHEAD_OF_TIME, TRITON_CACHE_DIR=str(tmp_path)))
    assert len(sizes) == 12 and all(size > 1000 for size in sizes)


def test_forced_without_the_interpreter_is_refused():
    code = """
import torch
from fastgan import backends, errors, losses
try:
    with backends.use_backend("triton"):
        losses.gan_loss(torch.zeros(2), torch.zeros(2))
except errors.BackendError as error:
    print(error)
"""
    said = run_python(code)
    assert said.startswith("gan_loss: backend 'triton' cannot run here: ") and "reference" in said
