"""The CUDA kernels of affine_act and gan_loss as nvcc compiles them, emulated: values, accesses and what they need."""

import itertools
from typing import NamedTuple

import pytest
import torch
from cuda_host import pass_calls
from support.tolerances import assert_as_good_as

from fastgan.reference import affine_act as pointwise
from fastgan.reference import gan_loss as reference

from . import nvcc
from .nvcc_kernels import CUDA_SOURCES, emulated, launchers
from .ptx import Order
from .ptx.threads import WARP

pytestmark = pytest.mark.cuda_host
TARGETS = ("sm_80", "sm_90")
DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.float64]
SLOPE = 0.3
# Shape, NHWC memory, rows of scale and of shift.
MAPS = {
    "nhwc": ((2, 16, 6, 6), True, (1, 1)),
    "nhwc-3-channels": ((2, 3, 8, 6), True, (1, 1)),
    "nhwc-by-image": ((3, 24, 3, 5), True, (3, 1)),
    "nhwc-odd": ((3, 5, 7, 3), True, (1, 3)),
    "nhwc-wide": ((1, 1160, 2, 1), True, (None, 1)),
    "nchw": ((2, 5, 8, 8), False, (2, 1)),
    "nchw-odd": ((1, 3, 7, 9), False, (1, None)),
    "vectors": ((5, 33), False, (1, 1)),
}
dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype).removeprefix("torch."))
targets = pytest.mark.parametrize("target", TARGETS)


@pytest.fixture(autouse=True)
def _nvcc(need):
    need(None if nvcc.find_nvcc() else "nvcc was not found", "nvcc")


def normal(*shape: int, seed: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def tensors(shape, nhwc: bool, rows, dtype: torch.dtype):
    """x, scale, shift, dz."""
    wide = pointwise.widened(dtype)
    vectors = [None if n is None else normal(n, shape[1], seed=seed, dtype=wide) for seed, n in enumerate(rows)]
    maps = [normal(*shape, seed=seed, dtype=dtype) for seed in (2, 3)]
    if nhwc:
        maps = [each.contiguous(memory_format=torch.channels_last) for each in maps]
    return maps[0], *vectors, maps[1]


def run(call: pass_calls.Call, source: str, target: str, order: Order = Order()):  # noqa: B008 (frozen)
    with emulated(target, [source], call.tensors, call.fresh, order) as launches:
        return call.run(launchers()), launches


def assert_close(actual: torch.Tensor, stock: torch.Tensor, exact: torch.Tensor, terms: float = 1.0) -> None:
    if actual.dtype == torch.float64:
        torch.testing.assert_close(actual, exact, rtol=1e-12, atol=1e-12 * max(terms, 1.0))
    elif actual.numel() < 100:  # a few sums in which roundings cancel: 4 ulp of what was added up
        bound = 4 * torch.finfo(actual.dtype).eps * max(terms, 1.0)
        torch.testing.assert_close(actual.double(), exact, rtol=0, atol=bound)
    else:
        assert_as_good_as(actual, stock, exact)


@targets
@dtypes
@pytest.mark.parametrize("activation", pointwise.ACTIVATIONS)
@pytest.mark.parametrize("name", MAPS)
def test_affine_act_and_its_gradients(target, dtype, activation, name):
    x, scale, shift, dz = tensors(*MAPS[name], dtype)
    wide = [each if each is None else each.double() for each in (x, scale, shift, dz)]
    order = Order("descending", "shuffled", 3)
    forward, _ = run(pass_calls.affine_act(x, scale, shift, activation, SLOPE), "affine_act.cu", target, order)
    stock = pointwise.affine_act(x, scale, shift, activation, SLOPE)
    assert_close(forward["z"], stock, pointwise.affine_act(*wide[:3], activation, SLOPE))
    if x.ndim == 4:
        pixels, _ = run(pass_calls.affine_act(x, scale, shift, activation, SLOPE, True), "affine_act.cu", target, order)
        expected = ((forward["z"].float() + 1) * 127.5).round().clamp(0, 255)
        assert torch.equal(pixels["z"].float(), expected)
    call = pass_calls.affine_act_backward(launchers(), dz, x, scale, shift, activation, SLOPE)
    backward, _ = run(call, "affine_act.cu", target, order)
    needed = True, scale is not None, shift is not None
    theirs = pointwise.affine_act_backward(dz, x, scale, shift, activation, SLOPE, needed)
    exact = pointwise.affine_act_backward(wide[3], *wide[:3], activation, SLOPE, needed)
    terms = (wide[3].abs() * wide[0].abs().clamp_min(1)).sum().item()
    for key, by_stock, right in zip(("dx", "ds", "dt"), theirs, exact, strict=True):
        if right is not None:
            assert_close(backward[key], by_stock, right, terms)


@targets
def test_memory_that_is_not_aligned(target):
    """One element behind 16 bytes: narrower accesses, the same numbers."""
    x, scale, shift, dz = tensors((2, 16, 6, 6), True, (1, 1), torch.float16)
    memory = torch.empty(2, 6 * 6 * 16 + 1, dtype=torch.float16)
    shifted = [row[1:].view(1, 6, 6, 16).permute(0, 3, 1, 2) for row in memory]
    for place, each in zip(shifted, (x, dz), strict=True):
        place.copy_(each[:1])
    how = scale, shift, "leaky_relu", SLOPE
    moved, launches = run(pass_calls.affine_act(shifted[0], *how), "affine_act.cu", target)
    assert shifted[0].data_ptr() % 16 == 2 and 16 not in launches[0].counters.stores.widths
    straight, _ = run(
        pass_calls.affine_act(x[:1].clone(memory_format=torch.channels_last), *how), "affine_act.cu", target
    )
    assert torch.equal(moved["z"], straight["z"])
    call = pass_calls.affine_act_backward(launchers(), shifted[1], shifted[0], *how)
    backward, _ = run(call, "affine_act.cu", target)
    dx = pointwise.affine_act_backward(dz[:1], x[:1], *how, (True, True, True))[0]
    torch.testing.assert_close(backward["dx"], dx, rtol=2e-3, atol=2e-3)


@targets
def test_sums_do_not_depend_on_the_order(target):
    x, scale, shift, dz = tensors((2, 8, 64, 64), True, (1, 1), torch.float32)
    results = []
    for order in (Order(), Order("descending", "reverse"), Order("straggling", "shuffled", 5)):
        call = pass_calls.affine_act_backward(launchers(), dz, x, scale, shift, "tanh", SLOPE)
        results.append(run(call, "affine_act.cu", target, order)[0])
    for other, key in itertools.product(results[1:], ("dx", "ds", "dt")):
        assert torch.equal(results[0][key], other[key])


@targets
@dtypes
@pytest.mark.parametrize("family", reference.FAMILIES)
@pytest.mark.parametrize("counts", [(1, 1), (7, 1025), (2048, 2048), (None, 50)], ids=str)
def test_gan_loss(target, dtype, family, counts):
    reals, fakes = counts
    paired = family in reference.PAIRED
    fake = normal(fakes, seed=0).mul(3).to(dtype)
    real = normal(fakes if paired else reals, seed=1).mul(3).to(dtype) if paired or reals else None
    results, _ = run(pass_calls.gan_loss(real, fake, family), "gan_loss.cu", target, Order("shuffled", "reverse"))

    def defined(*logits):
        by = reference.gradients(*logits, family)
        values = [f(*logits, family) for f in (reference.discriminator_loss, reference.generator_loss)]
        named = zip(("d_grad_real", "d_grad_fake", "g_grad_real", "g_grad_fake"), by, strict=True)
        return dict(zip(("d_loss", "g_loss"), values, strict=True)) | {k: v for k, v in named if v is not None}

    stock, exact = defined(real, fake), defined(None if real is None else real.double(), fake.double())
    for key, right in exact.items():
        assert_close(results[key], stock[key], right, 2.0)
    torch.testing.assert_close(
        results["statistics"].double(), reference.statistics(real, fake).double(), rtol=1e-5, atol=1e-6
    )


class Budget(NamedTuple):
    """The most that a kernel may need: registers of a thread, and instructions of a thread for each element."""

    registers: int
    instructions: float


LARGE = {
    "nhwc": ((4, 64, 32, 32), True, (1, 1)),
    "nhwc-3-channels": ((4, 3, 64, 64), True, (1, 1)),
    "nchw": ((4, 16, 32, 32), False, (1, 1)),
}
# Of the kernel and of that of the gradients, in leaky_relu.
BUDGETS = {
    ("nhwc", "float32"): (Budget(80, 20.0), Budget(104, 39.2)),
    ("nhwc", "float16"): (Budget(108, 14.9), Budget(128, 29.1)),
    ("nhwc-3-channels", "float32"): (Budget(80, 23.0), Budget(104, 43.8)),
    ("nhwc-3-channels", "float16"): (Budget(108, 18.2), Budget(128, 35.3)),
    ("nchw", "float32"): (Budget(64, 19.0), Budget(96, 32.9)),
    ("nchw", "float16"): (Budget(72, 14.0), Budget(112, 25.1)),
}


@targets
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=["float32", "float16"])
@pytest.mark.parametrize("name", LARGE)
def test_budgets_of_affine_act(target, dtype, name):
    """Every byte of the maps once and 16 at a time, no conflict in shared memory, nothing spilled."""
    x, scale, shift, dz = tensors(*LARGE[name], dtype)
    how = scale, shift, "leaky_relu", SLOPE
    found = run(pass_calls.affine_act(x, *how), "affine_act.cu", target)[1]
    found += run(pass_calls.affine_act_backward(launchers(), dz, x, *how), "affine_act.cu", target)[1]
    forward, backward, merge = found
    budgets = BUDGETS[name, str(dtype).removeprefix("torch.")]
    for launch, maps, budget in zip((forward, backward), (1, 2), budgets, strict=True):
        counters = launch.counters
        requests = maps * x.nbytes / (16 * WARP)
        assert requests <= counters.loads.widths[16] <= requests + counters.loads.requests / 2  # and scale and shift
        assert counters.unique_bytes_loaded == maps * x.nbytes + scale.nbytes + shift.nbytes
        assert counters.stores.widths[16] * 16 * WARP <= 1.02 * x.nbytes
        assert counters.unique_bytes_stored >= x.nbytes
        assert counters.stores.bytes_asked == counters.unique_bytes_stored
        assert launch.usage.registers <= budget.registers
        assert counters.warp_instructions * WARP / x.numel() <= budget.instructions
    for launch in found:
        assert launch.usage.spills == launch.usage.stack == 0
        assert launch.counters.conflict_factor == 1.0
    assert merge.usage.registers <= 32


@targets
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=["float32", "float16"])
def test_budgets_of_gan_loss(target, dtype):
    real, fake = (normal(2048, seed=seed).to(dtype) for seed in (0, 1))
    launches = run(pass_calls.gan_loss(real, fake, "non_saturating"), "gan_loss.cu", target)[1]
    tile, merge = (launch.counters for launch in launches)
    assert set(tile.loads.widths) == {16} and tile.loads.sectors_per_request == 16  # a whole pack for each lane
    assert tile.stores.widths[16] * 16 * WARP == 3 * 2048 * torch.float32.itemsize  # three gradients in float
    assert tile.unique_bytes_loaded == real.nbytes + fake.nbytes
    assert tile.warp_instructions * WARP / (real.numel() + fake.numel()) <= 115 and merge.warp_instructions <= 2500
    for launch in launches:
        assert launch.usage.spills == launch.usage.stack == 0 and launch.usage.registers <= 64
        assert launch.counters.conflict_factor == 1.0


@pytest.mark.parametrize("target", ["sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"])
@pytest.mark.parametrize("source", ["affine_act.cu", "gan_loss.cu"])
def test_compiles_for_every_target_without_spills(source, target):
    usage = nvcc.compile_source(CUDA_SOURCES / source, target).usage
    assert len(usage) == {"affine_act.cu": 34, "gan_loss.cu": 6}[source]
    assert {(each.spills, each.stack) for each in usage.values()} == {(0, 0)}
    assert max(each.registers for each in usage.values()) <= 120
