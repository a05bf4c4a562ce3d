"""The chain's launchers, compiled and emulated: every result against float64, every launch against its budget."""

import pytest
import torch
from support.tolerances import assert_as_good_as

from .chain_table import NVIDIA, ROWS


def _parameters(targets_of):
    for row in ROWS:
        for target in row.targets + row.full:
            if target in targets_of:
                marks = [pytest.mark.emulation_full] if target in row.full else []
                marks += [] if marks or target in row.sampled else [pytest.mark.emulation]
                yield pytest.param(row, target, id=f"{row.configuration}-{target}", marks=marks)


@pytest.mark.parametrize(("row", "target"), _parameters(NVIDIA))
def test_values_and_budgets(rig, row, target):
    ours, found = rig.budgets.examine(rig.cases.CHAIN[row.configuration], target)
    launches = rig.chain_launches
    case = launches.case_of(row)
    if row.wide_weight:
        _, case = launches.with_wide_parameters(case)
    up = launches.upstream(case, row.uses) if row.parts else None
    tf32 = row.precision == "tf32"
    results = zip(ours._fields, ours, launches.defined(case, up, tf32), launches.defined(case.to(torch.float64), up))
    for name, actual, stock, exact in results:
        if actual is not None and exact is not None and exact.numel() > 1:  # of one number stock's error is chance
            try:
                assert_as_good_as(actual, stock.to(actual.dtype), exact)
            except AssertionError as error:
                raise AssertionError(f"{name}: {error}") from None
    assert all(not counters.any() for counters in launches.workspace._counters.values())
    assert rig.budgets.violations(found, rig.budgets.load()) == []
    if row.vectors:
        assert all(set(one.counters.copies.widths) == {16} for one in found)


@pytest.mark.parametrize(("row", "target"), _parameters({t for row in ROWS for t in row.targets} - set(NVIDIA)))
def test_budgets_where_nothing_is_emulated(rig, row, target):
    _, found = rig.budgets.examine(rig.cases.CHAIN[row.configuration], target)
    assert rig.budgets.violations(found, rig.budgets.load()) == []
