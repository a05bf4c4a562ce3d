"""The chain's launchers, compiled and emulated: every result against float64, every launch against its budget."""

import pytest
import torch
from support.chain_rows import case_of, with_wide_parameters
from support.tolerances import assert_as_good_as

from .chain_table import BATCH_NORMS, NVIDIA, OTHERS, PASSES, ROWS, Row


def _parameters(rows, targets):
    parameters = []
    for row in rows:
        for target in row.targets + row.full:
            if target in targets:
                marks = [pytest.mark.emulation_full if target in row.full else pytest.mark.emulation]
                if isinstance(row, Row) and target in row.sampled:
                    marks = []
                parameters.append(pytest.param(row, target, id=f"{row.configuration}-{target}", marks=marks))
    return parameters


def _compare(ours: dict, stock: dict, exact: dict) -> None:
    for name, actual in ours.items():
        if actual is None or exact[name] is None or exact[name].numel() == 1:  # of one number stock's error is chance
            continue
        try:
            assert_as_good_as(actual, stock[name].to(actual.dtype), exact[name])
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from None


def _by_16(traffic) -> float:
    """Of the bytes that accesses of one kind move, how many go 16 at a time."""
    return 16 * traffic.widths[16] / sum(size * requests for size, requests in traffic.widths.items())


@pytest.mark.parametrize(("row", "target"), _parameters(ROWS, NVIDIA))
def test_convolutions(rig, row, target):
    ours, found = rig.budgets.examine(rig.cases.CHAIN[row.configuration], target)
    launches = rig.chain_launches
    case = case_of(row)
    if row.wide_weight:
        _, case = with_wide_parameters(case)
    up = launches.upstream(case, row.uses) if row.parts else None
    stock, exact = launches.defined(case, up, row.precision == "tf32"), launches.defined(case.to(torch.float64), up)
    _compare(ours._asdict(), stock._asdict(), exact._asdict())
    assert all(not counters.any() for counters in launches.workspace._counters.values())
    assert rig.budgets.violations(found, rig.budgets.load()) == []
    if row.vectors:
        assert min(_by_16(each.counters.copies) for each in found) > 0.7, (
            "maps and weights are read 16 bytes at a time, vectors need not be"
        )


@pytest.mark.parametrize(("row", "target"), _parameters((*PASSES, *BATCH_NORMS), NVIDIA))
def test_passes_and_vectors(rig, row, target):
    ours, found = rig.budgets.examine(rig.cases.CHAIN[row.configuration], target)
    define = rig.pass_launches.DEFINITIONS[type(row)]
    stock, exact = define(row), define(row, torch.float64)
    if "pixels" in ours:
        assert torch.equal(ours.pop("pixels"), stock["pixels"])
    absent = [name for name, result in ours.items() if result.numel() == 0]
    assert absent == [name for name in ours if name not in exact]
    _compare({name: ours[name] for name in ours if name in exact}, stock, exact)
    if row in PASSES and row.shape[1] % 8 == 0:
        assert all(_by_16(each.counters.loads) == 1 for each in found if "backward" not in each.kernel)
        assert all(each.counters.stores.widths[16] for each in found)
    assert rig.budgets.violations(found, rig.budgets.load()) == []


@pytest.mark.parametrize(("row", "target"), _parameters((*ROWS, *PASSES, *BATCH_NORMS), OTHERS))
def test_budgets_where_nothing_is_emulated(rig, row, target):
    _, found = rig.budgets.examine(rig.cases.CHAIN[row.configuration], target)
    assert rig.budgets.violations(found, rig.budgets.load()) == []
    for each in found:
        of_16 = [name for name in each.resources.global_accesses if "128" in name or name.endswith("dwordx4")]
        assert of_16 or row not in ROWS + PASSES, f"{each.kernel}: no access of 16 bytes"


@pytest.mark.emulation
def test_every_configuration_of_the_table_runs(rig):
    """On each emulated target, tests of a row in `full` counted in. Stages apart, which depend on channels too."""
    configurations = rig.chain_launches.configurations
    for family in NVIDIA:
        taken, meant = set(), set()
        for op, precision in configurations._TABLE:
            meant |= {
                (op, precision, each[:-2], each.flat) for each in configurations._table(op, family, precision).values()
            }
        for row in ROWS:
            case = rig.cases.CHAIN[row.configuration]
            with case.within(family), rig.capture.capture() as launches:
                case.call()
            for launch in launches:
                op, constants = rig.chain_launches.op_of(launch.name), launch.arguments | launch.kwargs
                sizes = tuple(constants[f"BLOCK_{axis}"] for axis in "MNK")
                rest = constants["GROUP"], constants["num_warps"]
                taken.add((op, constants["PRECISION"], sizes + rest, constants.get("FLAT", False)))
        assert taken == meant
