"""Triton kernels, compiled for sm_80 (mma.sync) and sm_90 (wgmma) and emulated, against float64."""

import pytest
import torch
from support.tolerances import assert_as_good_as, errors

from .ptx import EmulationError, Order

pytestmark = pytest.mark.emulation
TARGETS = ("sm_80", "sm_90")
ORDERS = [Order(), Order("ascending", "reverse"), Order("straggling"), Order("shuffled", "shuffled", 3)]
# Errors of one product of numbers of that format, with float32 sums: half an ulp of what is read and of what is stored.
UNIT = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "tf32": 2.0**-11, "tf32x3": 2.0**-21, "ieee": 2.0**-22}

on_each_target = pytest.mark.parametrize("target", TARGETS)


def normal(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


@on_each_target
@pytest.mark.parametrize("count", [1, 255, 256, 1000])
def test_add(rig, target, count):
    a, b = normal(count), normal(count, seed=1)
    with rig.capture.emulated(target) as launches:
        y = rig.sample_kernels.add(a, b, 0.5)
    assert_as_good_as(y, a + 0.5 * b, a.double() + 0.5 * b.double())
    assert [launch.launch.grid for launch in launches] == [(-(-count // 256), 1, 1)]


@on_each_target
@pytest.mark.parametrize(
    ("dtype", "precision"),
    [
        pytest.param(torch.float16, "ieee", id="float16"),
        pytest.param(torch.bfloat16, "ieee", id="bfloat16", marks=pytest.mark.emulation_full),
        pytest.param(torch.float32, "tf32", id="tf32", marks=pytest.mark.emulation_full),
        pytest.param(torch.float32, "tf32x3", id="tf32x3", marks=pytest.mark.emulation_full),
        pytest.param(torch.float32, "ieee", id="ieee", marks=pytest.mark.emulation_full),
    ],
)
def test_matmul_in_three_stages(rig, target, dtype, precision):
    a, b = normal(100, 112, dtype=dtype), normal(112, 72, dtype=dtype, seed=1)
    with rig.capture.emulated(target) as launches:
        y = rig.sample_kernels.matmul(a, b, precision)
    unit = UNIT[precision if dtype == torch.float32 else str(dtype).removeprefix("torch.")]
    assert max(errors(y, a.double() @ b.double())) <= 2 * unit
    counters = launches[0].counters
    assert (counters.tensor_core_instructions > 0) == (precision != "ieee" or dtype != torch.float32)


@pytest.mark.emulation_full
@on_each_target
@pytest.mark.parametrize("b_transposed", [False, True], ids=["b", "b.T"])
@pytest.mark.parametrize("a_transposed", [False, True], ids=["a", "a.T"])
@pytest.mark.parametrize(
    ("tile", "warps", "stages"),
    [((128, 64, 64), 8, 4), ((16, 32, 32), 1, 2), ((64, 128, 16), 4, 1), ((128, 128, 32), 4, 2)],
    ids=lambda value: "x".join(map(str, value)) if isinstance(value, tuple) else str(value),
)
@pytest.mark.parametrize("precision", ["float16", "tf32"])
def test_matmul_tiles_and_layouts(rig, target, precision, tile, warps, stages, a_transposed, b_transposed):
    dtype = torch.float16 if precision == "float16" else torch.float32
    a = normal(112, 144, dtype=dtype).t() if a_transposed else normal(144, 112, dtype=dtype)
    b = normal(96, 112, dtype=dtype, seed=1).t() if b_transposed else normal(112, 96, dtype=dtype, seed=1)
    with rig.capture.emulated(target, count=False):
        y = rig.sample_kernels.matmul(a, b, "tf32" if precision == "tf32" else "ieee", tile, warps, stages)
    assert max(errors(y, a.double() @ b.double())) <= 2 * UNIT[precision]


def affine_act_matmul(rig, target, dtype, precision, order, count=True):
    x, w = normal(200, 96, dtype=dtype), normal(96, 72, dtype=dtype, seed=1)
    s, t = normal(96, seed=2), normal(96, seed=3)
    with rig.capture.emulated(target, order, count) as launches:
        y, mean = rig.sample_kernels.affine_act_matmul(x, w, s, t, 0.2, precision)
    v = x.double() * s.double() + t.double()
    exact = torch.where(v > 0, v, 0.2 * v) @ w.double()
    unit = UNIT[precision if dtype == torch.float32 else str(dtype).removeprefix("torch.")]
    assert max(errors(y, exact)) <= 4 * unit  # z is rounded too
    assert max(errors(mean, y.double().mean(0))) <= 2.0**-22
    return launches[0].counters


@on_each_target
@pytest.mark.parametrize("order", ORDERS[:2], ids=str)
def test_a_prologue_and_statistics_by_the_last_arriver(rig, target, order):
    counters = affine_act_matmul(rig, target, torch.float16, "ieee", order)
    assert counters.unique_bytes_loaded == 2 * 200 * 96 + 2 * 96 * 72 + 2 * 4 * 96 + 4 * 4 * 72 + 2 * 4
    assert counters.conflict_factor == 1


@pytest.mark.emulation_full
@on_each_target
@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.parametrize(
    ("dtype", "precision"),
    [
        pytest.param(torch.float16, "ieee", id="float16"),
        pytest.param(torch.bfloat16, "ieee", id="bfloat16"),
        pytest.param(torch.float32, "tf32", id="tf32"),
        pytest.param(torch.float32, "tf32x3", id="tf32x3"),
        pytest.param(torch.float32, "ieee", id="ieee"),
    ],
)
def test_a_prologue_and_statistics_in_every_format(rig, target, dtype, precision, order):
    affine_act_matmul(rig, target, dtype, precision, order, count=False)


@pytest.mark.emulation_full
@on_each_target
@pytest.mark.parametrize("order", ORDERS[1::2], ids=str)
@pytest.mark.parametrize(
    ("dtype", "precision"),
    [
        pytest.param(torch.float16, "ieee", id="float16"),
        pytest.param(torch.bfloat16, "ieee", id="bfloat16"),
        pytest.param(torch.float32, "tf32x3", id="tf32x3"),
    ],
)
def test_convolutions_as_implicit_products(rig, target, dtype, precision, order):
    x, w = normal(2, 10, 12, 40, dtype=dtype), normal(4, 4, 40, 24, dtype=dtype, seed=1)
    s, t, dy = normal(40, seed=2), normal(40, seed=3), normal(2, 5, 6, 24, dtype=dtype, seed=4)
    with rig.capture.emulated(target, order, count=False):
        y = rig.sample_convolutions.conv2d(x, w, s, t, precision)
        dw = rig.sample_convolutions.conv2d_weight_grad(dy, x, s, t, precision)
    v = x.double() * s.double() + t.double()
    z = torch.where(v > 0, v, 0.2 * v).permute(0, 3, 1, 2)
    weight = w.double().permute(3, 2, 0, 1).requires_grad_()
    exact = torch.nn.functional.conv2d(z, weight, stride=2, padding=1)
    (exact_dw,) = torch.autograd.grad(exact, weight, dy.double().permute(0, 3, 1, 2))
    unit = UNIT[precision if dtype == torch.float32 else str(dtype).removeprefix("torch.")]
    assert max(errors(y, exact.detach().permute(0, 2, 3, 1))) <= 4 * unit
    assert max(errors(dw, exact_dw.permute(2, 3, 1, 0))) <= 4 * unit


@pytest.mark.emulation_full
@pytest.mark.parametrize("target", ["sm_86", "sm_89", "sm_120"])
@pytest.mark.parametrize(("dtype", "unit"), [(torch.float16, "float16"), (torch.bfloat16, "bfloat16")], ids=str)
def test_other_targets_of_mma_sync(rig, target, dtype, unit):
    a, b = normal(100, 112, dtype=dtype), normal(112, 72, dtype=dtype, seed=1)
    with rig.capture.emulated(target):
        y = rig.sample_kernels.matmul(a, b)
    assert max(errors(y, a.double() @ b.double())) <= 2 * UNIT[unit]


@on_each_target
def test_moments_by_welford(rig, target):
    x = normal(100, 64) + 100
    with rig.capture.emulated(target):
        mean, var = rig.sample_kernels.moments(x)
    exact = x.double()
    assert_as_good_as(mean, x.mean(0), exact.mean(0))
    # Each merge rounds a mean near 100 to an ulp of 8e-6, and what is left over of deviations near 1 goes into var.
    assert max(errors(var, exact.var(0, correction=0))) <= 2e-5


@on_each_target
@pytest.mark.parametrize("one_atomic", [True, False], ids=["after a sum", "every element"])
@pytest.mark.parametrize("order", ORDERS[:2], ids=str)
def test_sums_by_atomics(rig, target, one_atomic, order):
    x = normal(200, 64)
    with rig.capture.emulated(target, order):
        total = rig.sample_kernels.column_sum(x, one_atomic)
    assert max(errors(total, x.double().sum(0))) <= 1e-6


def test_an_unmasked_load_is_found(rig):
    """The launcher passes more than there is: the mask no longer covers the end."""
    kernels = rig.sample_kernels
    a, b, y = normal(1000), normal(1000), torch.zeros(1000)
    with pytest.raises(EmulationError, match="load out of bounds.*sample_kernels.py"), rig.capture.emulated("sm_80"):
        kernels._add_kernel[(4,)](y, a, b, 1024, 1.0, BLOCK=256)


def test_a_kernel_that_reads_what_nobody_wrote_is_found(rig):
    kernels = rig.sample_kernels
    message = "never written.*sample_kernels.py"
    with pytest.raises(EmulationError, match=message), rig.capture.emulated("sm_80"):
        kernels._add_kernel[(1,)](torch.empty(256), torch.empty(256), normal(256), 256, 1.0, BLOCK=256)


@pytest.mark.emulation_full
@on_each_target
def test_a_launch_of_64_blocks(rig, target):
    a, b = normal(1024, 512, dtype=torch.float16), normal(512, 256, dtype=torch.float16, seed=1)
    with rig.capture.emulated(target):
        y = rig.sample_kernels.matmul(a, b)
    assert max(errors(y, a.double() @ b.double())) <= 2 * UNIT["float16"]
