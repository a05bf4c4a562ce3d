"""The model of suite gpu-model: what is recorded, what a launch costs, what a device can at most do."""

import copy
from pathlib import Path

import pytest
import torch
from fastgan.bench.gpu.compiled import compiled_kernels
from fastgan.bench.gpu.devices import DEVICES, occupancy
from fastgan.bench.gpu.floor import floor, listed
from fastgan.bench.gpu.launches import Launch, launches
from fastgan.bench.gpu.step import step_launches
from fastgan.bench.gpu.trace import recorded
from fastgan.bench.network import discriminator_layers, generator_layers
from fastgan.bench.roofline import step_flops
from fastgan.bench.step import LeanStep, TrainingStep
from fastgan.bench.stock import build
from fastgan.bench.suites import gpu_model
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

A100, H100, RTX_4090, B200 = DEVICES
DOCS = Path(__file__).resolve().parents[2] / "docs"
MAP = 2 * 8 * 6 * 6 * 4  # bytes of [2, 8, 6, 6] in float32


def costs(call):
    return [(each.kernel, each.read, each.written) for each in launches(recorded(call))]


@pytest.fixture
def fake():
    with FakeTensorMode():
        yield


def test_a_convolution_is_one_launch_and_its_bias_another(fake):
    x, w, b = torch.zeros(2, 3, 12, 12), torch.zeros(8, 3, 4, 4), torch.zeros(8)
    image, weight, bias = (each.numel() * 4 for each in (x, w, b))
    found = launches(recorded(lambda: F.conv2d(x, w, b, stride=2, padding=1)))
    assert [(each.kernel, each.read, each.written) for each in found] == [
        ("convolution", image + weight, MAP),
        ("convolution bias", MAP + bias, MAP),
    ]
    assert [each.operations for each in found] == [2 * 2 * 6 * 6 * 8 * 3 * 16, 0]


def test_batch_norm_and_activation_read_and_write_the_map_each_time(fake):
    bn, x = nn.BatchNorm2d(8), torch.zeros(2, 8, 6, 6)
    found = [cost for cost in costs(lambda: F.leaky_relu(bn(x), 0.2)) if cost[0] != "add_"]
    assert [cost[0] for cost in found] == ["batch norm statistics", "batch norm apply", "leaky_relu"]
    assert [cost[1] // MAP for cost in found] == [1, 1, 1]
    assert [cost[2] // MAP for cost in found] == [0, 1, 1]


def test_gradients_of_a_convolution_are_a_launch_each(fake):
    x, w, b = torch.zeros(2, 3, 12, 12), torch.zeros(8, 3, 4, 4, requires_grad=True), torch.zeros(8, requires_grad=True)
    y = F.conv2d(x, w, b, stride=2, padding=1)
    dy = torch.zeros_like(y)
    found = costs(lambda: torch.autograd.grad(y, (w, b), dy))
    assert [cost[0] for cost in found] == ["convolution weight grad", "convolution bias grad"]
    assert found[0][1:] == (MAP + x.numel() * 4, w.numel() * 4)
    assert found[1][1:] == (MAP, 8 * 4)


def test_views_cost_nothing(fake):
    x = torch.zeros(4, 6)
    assert costs(lambda: x.t().unsqueeze(0).expand(3, 6, 4).detach()) == []


@pytest.mark.parametrize("fused", [False, True], ids=["stock", "fused"])
def test_a_step_has_the_operations_of_its_layers(fused):
    found = step_launches(fused, batch=4, size=(32, 32), width=32, precision="fp16", r1=False)
    layers = generator_layers((32, 32), 3, 32, 100), discriminator_layers((32, 32), 3, 32)
    expected = 4 * step_flops(*layers, False)
    assert sum(each.operations for each in found) == pytest.approx(expected, rel=0.01)
    ours = [each.kernel for each in found if each.kernel.startswith("affine_act_conv")]
    assert bool(ours) == fused
    assert any(each.kernel == "convolution" for each in found) != fused


def test_half_precision_moves_half_the_maps():
    half, single = (
        step_launches(True, batch=8, size=(32, 32), width=32, precision=precision, r1=False)
        for precision in ("bf16", "fp32")
    )
    maps = [sum(each.bytes for each in side if each.matrix) for side in (half, single)]
    assert 0.45 < maps[0] / maps[1] < 0.6


def test_the_floor_is_the_longer_of_bytes_and_operations():
    memory = Launch("copy", "", read=2039, written=0)
    assert floor(memory, A100) == pytest.approx(1e-9)
    arithmetic = Launch("matmul", "", read=1, written=1, operations=312_000, matrix=True)
    assert floor(arithmetic, A100) == pytest.approx(1e-9)
    single = Launch("matmul", "", read=1, written=1, operations=312_000, matrix=True, element=4)
    assert floor(single, A100) == pytest.approx(2e-9)


def test_the_list_adds_up():
    found = step_launches(True, batch=4, size=(32, 32), width=32, precision="fp16", r1=False)
    rows = listed(found, H100)
    assert sum(row.launches for row in rows) == len(found)
    assert sum(row.read + row.written for row in rows) == sum(each.bytes for each in found)
    assert sum(row.seconds for row in rows) == pytest.approx(sum(floor(each, H100) for each in found))


@pytest.mark.parametrize(
    ("device", "registers", "shared", "warps", "share"),
    [
        # Of `tconv` on sm_80 and of a Triton tile on sm_90, as NVIDIA's occupancy calculator has them.
        pytest.param(A100, 96, 31 << 10, 4, 20 / 64, id="A100-registers-and-shared"),
        pytest.param(H100, 189, 73728, 4, 8 / 64, id="H100-registers"),
        pytest.param(H100, 32, 100 << 10, 4, 8 / 64, id="H100-shared"),
        pytest.param(RTX_4090, 32, 0, 4, 1.0, id="full"),
        pytest.param(A100, 255, 200 << 10, 4, 0.0, id="does-not-fit"),
    ],
)
def test_occupancy(device, registers, shared, warps, share):
    assert occupancy(device, registers, shared, warps) == pytest.approx(share)


def test_data_sheets_are_named():
    assert all(device.source and device.gb_per_s < 10_000 for device in DEVICES)
    assert [device.target for device in DEVICES] == ["sm_80", "sm_90", "sm_89", "sm_100"]


def test_compiled_kernels_fit_every_device_and_never_spill():
    rows = compiled_kernels()["rows"]
    assert {row["device"] for row in rows} == {device.name for device in DEVICES}
    assert all(row["spills"] == 0 and 0 < row["occupancy"] <= 1 for row in rows)


def test_the_page_has_the_numbers_of_the_model(need):
    other = torch.__version__.split("+")[0] != "2.13.0"
    need("the page's numbers are those of torch 2.13.0" if other else None, "torch-2.13.0")
    page = (DOCS / "gpu.md").read_text()
    ways = {"stock": (False, False), "fused": (True, False), "lean": (True, True), "stock, lean": (False, True)}
    sides = {
        name: step_launches(fused, gpu_model.BATCH, (64, 64), 64, "fp16", r1=False, lean=lean)
        for name, (fused, lean) in ways.items()
    }
    megabytes = {name: sum(each.bytes for each in side) / 1e6 for name, side in sides.items()}
    counts = {name: len(side) for name, side in sides.items()}

    def row(of, form: str, unit: str) -> str:
        cells = [format(of["stock"], form) + unit]
        for name in ("fused", "lean"):
            cells += [format(of[name], form) + unit, f"{of[name] / of['stock']:.2f}"]
        return " | ".join(cells) + " |"

    assert f"| bytes | {row(megabytes, ',.0f', ' MB')}" in page
    assert f"| launches | {row(counts, 'd', '')}" in page
    for device in DEVICES:
        milliseconds = {name: 1e3 * sum(floor(each, device) for each in side) for name, side in sides.items()}
        assert f"{device.name} | {row(milliseconds, '.2f', ' ms')}" in page
    assert f"takes {counts['stock, lean']} launches and {megabytes['stock, lean']:,.0f} MB" in page
    printed = (DOCS / "gpu-launches.txt").read_text()
    for name in ("stock", "fused", "lean"):
        assert f"{counts[name]} launches, {megabytes[name]:.0f} MB" in printed


def test_the_lean_loop_makes_the_same_updates():
    layers = generator_layers((16, 16), 3, 8, 6), discriminator_layers((16, 16), 3, 8)
    torch.manual_seed(0)
    models = [build(each).double() for each in layers]
    z, x = torch.randn(5, 6, dtype=torch.float64), torch.rand(5, 3, 16, 16, dtype=torch.float64) * 2 - 1
    steps = [kind(*copy.deepcopy(models), z, x) for kind in (TrainingStep, LeanStep)]
    losses = [[step() for _ in range(2)] for step in steps]
    torch.testing.assert_close(*losses)
    plain, lean = (step.updates() for step in steps)
    assert plain.keys() == lean.keys()
    for name, update in plain.items():
        assert update.abs().max() > 0
        torch.testing.assert_close(lean[name], update, msg=name)
