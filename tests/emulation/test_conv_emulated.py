"""affine_act_conv's CUDA kernels as nvcc compiles them, emulated: results, what they need, and Triton's traffic."""

import pytest
from cuda_host.conv_checks import CHECKS, right
from cuda_host.conv_rows import LARGE, ROWS, row
from support.chain_rows import case_of

from . import nvcc_budgets
from .conv_emulated import Emulated
from .nvcc import find_nvcc

pytestmark = pytest.mark.cuda_host
targets = pytest.mark.parametrize("target", nvcc_budgets.EMULATED)
by_name = [pytest.param(each, id=each.configuration) for each in (*ROWS, *LARGE)]


@pytest.fixture(autouse=True)
def _nvcc(need):
    need("nvcc was not found" if find_nvcc() is None else None, "nvcc")


@targets
@pytest.mark.parametrize("of", by_name)
def test_rows(of, target):
    right(Emulated(target), of)


@targets
@pytest.mark.parametrize("name", CHECKS)
def test_checks(name, target):
    CHECKS[name](Emulated(target))


@pytest.mark.parametrize("target", nvcc_budgets.TARGETS)
def test_no_kernel_spills_or_needs_more_registers(target):
    usages, budgets = nvcc_budgets.usages(target), nvcc_budgets.load()["kernels"]
    assert set(usages) == set(budgets)
    for name, usage in usages.items():
        assert usage.spills == 0 and usage.stack == 0, f"{name}: {usage}"
        assert usage.registers <= budgets[name][target], f"{name}: {usage}, the budget allows {budgets[name][target]}"


@pytest.mark.parametrize("budget", nvcc_budgets.load()["launches"], ids=lambda b: f"{b['row']}-{b['target']}")
def test_launches_are_within_their_budgets(budget):
    numbers = nvcc_budgets.numbers(nvcc_budgets.launched(budget["row"], budget["target"]).counters)
    assert numbers["conflict_factor"] == 1.0
    for name, value in numbers.items():
        assert value <= budget[name], f"{name} is {value}, the budget allows {budget[name]}"


def test_most_copies_are_of_16_bytes():
    """Of what a whole tile reads and stores: 16 bytes of maps and weights, never less."""
    counters = nvcc_budgets.launched("conv_transpose2d odd sizes fp16", "sm_80").counters
    assert set(counters.copies.widths) == {16}
    assert counters.stores.widths[16] * 16 > 0.9 * sum(
        size * requests
        for size, requests in counters.stores.widths.items()
        if size != 4  # 4: statistics
    )


@pytest.mark.parametrize("name", (*nvcc_budgets.ROWS, *nvcc_budgets.WIDE_ROWS))
def test_traffic_is_no_worse_than_tritons(rig, name):
    of, target = row(name), "sm_80"
    case = case_of(of)
    ours = nvcc_budgets.traffic(nvcc_budgets.launched(name, target).counters)
    with rig.chain_launches.setting(target, of.precision), rig.capture.emulated(target) as launches:
        rig.chain_launches.launched(case)
    theirs = nvcc_budgets.traffic(launches[0].counters)
    for what, count in ours.items():
        assert count <= nvcc_budgets.TRAFFIC * theirs[what], f"{what}: {count}, Triton's kernel {theirs[what]}"
