"""What ptxas said of the kernels that were built: no spills, no stack, registers within kernel_budgets.json."""

import json
from pathlib import Path

import pytest

from building import ptxas
from fastgan import native

ROOT = Path(__file__).resolve().parents[2]
BUDGETS = json.loads(Path(__file__).with_name("kernel_budgets.json").read_text())["registers"]

LOG = """ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_ZN7fastgan4cuda3sumI6__halffEEvPT_' for 'sm_90a'
ptxas info    : Function properties for _ZN7fastgan4cuda3sumI6__halffEEvPT_
    24 bytes stack frame, 8 bytes spill stores, 16 bytes spill loads
ptxas info    : Used 255 registers, used 1 barriers, 64 bytes smem, 464 bytes cmem[0]
ptxas info    : Compiling entry function '_ZN7fastgan4cuda3addEv' for 'sm_80'
ptxas info    : Function properties for _ZN7fastgan4cuda3addEv
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 12 registers, 464 bytes cmem[0]
ptxas info    : Compile time = 1.5 ms
"""


@pytest.fixture(scope="module")
def built(need) -> list[ptxas.Usage]:
    """Every kernel of the last build, for each of its architectures."""
    need(native.cuda_missing(), "nvcc")
    log = ROOT / "build/ptxas.log"
    need(None if log.is_file() else f"{log} is not there: the CUDA part was built elsewhere", "nvcc")
    return ptxas.rows(log.read_text())


def complaints(rows: list[ptxas.Usage], budgets: dict[str, int]) -> list[str]:
    found = []
    for row in rows:
        name, allowed = f"{row.kernel} for {row.arch}", budgets.get(ptxas.stem(row.kernel))
        if row.spills or row.stack:
            found.append(f"{name} spills {row.spills} bytes and has a stack of {row.stack}")
        if allowed is None:
            found.append(f"{name} has no budget")
        elif row.registers > allowed:
            found.append(f"{name} takes {row.registers} registers of {allowed}")
    return found


def test_kernels_keep_within_their_budgets(built):
    assert built
    assert not complaints(built, BUDGETS)


def test_what_may_have_all_shared_memory_has_none_of_its_own(built):
    """A launch with more than 48 KB asks for as much as any device has (csrc/cuda/device.cuh), and that is for both."""
    convolutions = [row for row in built if ptxas.stem(row.kernel) == "affine_act_conv_kernel"]
    assert convolutions and not [row for row in convolutions if row.shared]


def test_every_architecture_has_every_kernel(built):
    found = {arch: {row.kernel for row in built if row.arch == arch} for arch in {row.arch for row in built}}
    assert {f"sm_{arch}" for arch in native.build_facts()["cuda_archs"].split(";")} <= set(found)
    assert len(set(map(frozenset, found.values()))) == 1


def test_a_budget_is_of_a_kernel_that_is_there(built):
    assert set(BUDGETS) == {ptxas.stem(row.kernel) for row in built}


def test_the_log_is_read(need):
    add, total = ptxas.rows(LOG)
    need(None if add.kernel == "add" else "no c++filt", "cc")
    assert add == ("add", "sm_80", 12, 0, 0, 0)
    assert total == ("sum<__half, float>", "sm_90a", 255, 24, 24, 64)
    assert ptxas.budgets([add, total]) == {"add": 12, "sum": 255}
    assert ptxas.table([total]).splitlines()[1].split() == ["sum<__half,", "float>", "sm_90a", "255", "24", "24", "64"]


def test_kernels_are_also_known_by_their_symbols():
    total, add = ptxas.usages(LOG)
    assert (total.kernel, total.arch, total.spills) == ("_ZN7fastgan4cuda3sumI6__halffEEvPT_", "sm_90a", 24)
    assert (add.kernel, add.registers, add.shared) == ("_ZN7fastgan4cuda3addEv", 12, 0)


def test_a_log_that_breaks_off_is_refused():
    with pytest.raises(ValueError, match="nothing about registers"):
        ptxas.rows(LOG.partition("Used 12")[0])


def test_spills_registers_and_strangers_are_complained_about():
    rows = ptxas.rows(LOG)
    names = [ptxas.stem(row.kernel) for row in rows]
    small, whole = dict.fromkeys(names, 11), dict.fromkeys(names, 255)
    assert len(complaints(rows, whole)) == 1
    assert "spills 24 bytes and has a stack of 24" in complaints(rows, whole)[0]
    assert any("takes 12 registers of 11" in each for each in complaints(rows, small))
    assert any("has no budget" in each for each in complaints(rows, {}))
