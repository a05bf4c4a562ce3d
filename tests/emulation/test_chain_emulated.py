"""The chain's launchers, compiled and emulated: every result against float64, every launch against its budget."""

import pytest
import torch
from support.chain_rows import case_of, with_wide_parameters
from support.tolerances import assert_as_good_as

from .chain_table import BATCH_NORMS, NVIDIA, PASSES, ROWS


def _parameters(rows, targets):
    for row in rows:
        for target in row.targets + row.full:
            if target in targets:
                later = target in row.full
                marks = [pytest.mark.emulation_full] if later else [pytest.mark.emulation]
                name = f"{row.configuration}-{target}"
                yield pytest.param(row, target, id=name, marks=[] if target in row.sampled else marks)


def _compare(ours: dict, stock: dict, exact: dict) -> None:
    for name, actual in ours.items():
        if actual is None or exact[name] is None or exact[name].numel() == 1:  # of one number stock's error is chance
            continue
        try:
            assert_as_good_as(actual, stock[name].to(actual.dtype), exact[name])
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from None


def _copied_by_16(found) -> float:
    """Of the bytes that asynchronous copies move, how many go 16 at a time."""
    widths = found.counters.copies.widths
    return 16 * widths[16] / sum(size * requests for size, requests in widths.items())


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
        assert min(map(_copied_by_16, found)) > 0.7, "maps and weights are read 16 bytes at a time, vectors need not be"


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
    assert rig.budgets.violations(found, rig.budgets.load()) == []


_OTHERS = {target for row in ROWS for target in row.targets} - set(NVIDIA)


@pytest.mark.parametrize(("row", "target"), _parameters((*ROWS, *PASSES, *BATCH_NORMS), _OTHERS))
def test_budgets_where_nothing_is_emulated(rig, row, target):
    _, found = rig.budgets.examine(rig.cases.CHAIN[row.configuration], target)
    assert rig.budgets.violations(found, rig.budgets.load()) == []


def test_every_configuration_of_the_table_runs(rig):
    """On each emulated target, tests of a row in `full` counted in."""
    configurations = rig.chain_launches.configurations
    for family in NVIDIA:
        taken, meant = set(), set()
        for op, precision in configurations._TABLE:
            meant |= {(op, precision, each) for each in configurations._table(op, family, precision).values()}
        for row in ROWS:
            case = rig.cases.CHAIN[row.configuration]
            with case.within(family), rig.capture.capture() as launches:
                case.call()
            for launch in launches:
                op, constants = rig.chain_launches.op_of(launch.name), launch.arguments | launch.kwargs
                each = configurations.Configuration(
                    *(constants[f"BLOCK_{axis}"] for axis in "MNK"),
                    *(constants[name] for name in ("GROUP", "num_warps", "num_stages")),
                    flat=constants.get("FLAT", False),
                )
                taken.add((op, constants["PRECISION"], each))
        assert taken == meant
