"""A frozen generator's CUDA kernels as nvcc compiles them, emulated: results, what they touch, what they need."""

from typing import NamedTuple

import pytest
from cuda_host import frozen_checks
from cuda_host.frozen_calls import Plan
from cuda_host.mutants import FROZEN, FROZEN_READS
from cuda_host.test_mutants import spoilt

from fastgan.reference.frozen_generator import PRECISIONS, Activation

from . import nvcc_budgets
from .frozen_emulated import Emulated
from .nvcc import find_nvcc
from .nvcc_kernels import CUDA_SOURCES, EmulatedLaunch
from .ptx import EmulationError
from .ptx.counters import SECTOR
from .ptx.threads import WARP

pytestmark = pytest.mark.cuda_host
targets = pytest.mark.parametrize("target", nvcc_budgets.EMULATED)
IMAGES, SIZE, CHANNELS, CLASSES = 8, 2048, 64, 3
NUMBERS = IMAGES * SIZE


@pytest.fixture(autouse=True)
def _nvcc(need):
    need("nvcc was not found" if find_nvcc() is None else None, "nvcc")


@targets
@pytest.mark.parametrize("name", frozen_checks.CHECKS)
def test_checks(name, target):
    frozen_checks.CHECKS[name](Emulated(target))


@pytest.mark.parametrize("mutant", [FROZEN[0], *FROZEN_READS], ids=lambda mutant: mutant.name)
def test_accesses_to_other_memory_are_noticed(mutant, tmp_path):
    csrc = spoilt(CUDA_SOURCES.parent, mutant, tmp_path / "csrc")
    with pytest.raises(EmulationError):
        frozen_checks.CHECKS[mutant.check](Emulated("sm_80", csrc / "cuda"))


def launched(plan: Plan, precision: str, pixels: bool, target: str) -> list[EmulatedLaunch]:
    subject = Emulated(target, count=True)
    subject.run(subject.call(plan, precision, pixels))
    return subject.launches


def activated() -> Plan:
    """Maps alone, without numbers by channel."""
    return frozen_checks.passes(IMAGES, SIZE, CHANNELS)._replace(steps=[Activation("relu", 1.0)], tensors=[])


@targets
@pytest.mark.parametrize("pixels", [False, True], ids=["float", "uint8"])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_maps_are_read_and_written_once(precision, pixels, target):
    """In whole sectors, 16 bytes at a time on the side of the wider type."""
    bytes_of_map, bytes_of_output = PRECISIONS[precision].itemsize, 1 if pixels else 4
    ways = [(bytes_of_map, bytes_of_output)] if precision == "fp32" else [(4, 2), (2, bytes_of_output)]
    launches = launched(activated(), precision, pixels, target)
    assert len(launches) == len(ways)
    for launch, (read, written) in zip(launches, ways, strict=True):
        loads, stores = launch.counters.loads, launch.counters.stores
        assert loads.sectors * SECTOR == loads.bytes_asked == launch.counters.unique_bytes_loaded == NUMBERS * read
        assert stores.sectors * SECTOR == stores.bytes_asked == launch.counters.unique_bytes_stored == NUMBERS * written
        pack = 16 // max(read, written)
        assert (set(loads.widths), set(stores.widths)) == ({pack * read}, {pack * written})


class Budget(NamedTuple):
    """The most of a call for each number of a row: bytes in sectors that are read, instructions of a thread."""

    bytes_read: float
    instructions: float


PLANS = {
    "channels": frozen_checks.passes(IMAGES, SIZE, CHANNELS, Activation("leaky_relu", 0.3)),
    "channels, tanh": frozen_checks.passes(IMAGES, SIZE, CHANNELS),
    "labels": frozen_checks.labelled(IMAGES, SIZE, CHANNELS, CLASSES),
    "places": frozen_checks.permuted(IMAGES, SIZE, CHANNELS),
}
# Numbers that change places come from anywhere, each with a sector of its own; their places are read a pack apart,
# which asks four times for each sector of them.
BUDGETS = {
    ("channels", "fp32"): Budget(8.0, 34.3),
    ("channels", "fp16"): Budget(10.0, 44.3),
    ("channels, tanh", "fp32"): Budget(8.0, 79.3),
    ("channels, tanh", "fp16"): Budget(10.0, 90.0),
    ("labels", "fp32"): Budget(12.5, 56.9),
    ("labels", "fp16"): Budget(10.4, 47.4),
    ("places", "fp32"): Budget(82.0, 75.5),
    ("places", "fp16"): Budget(82.6, 80.9),
}


@targets
@pytest.mark.parametrize(("name", "precision"), BUDGETS, ids=lambda word: word)
def test_budgets(name, precision, target):
    plan, budget = PLANS[name], BUDGETS[name, precision]
    launches = launched(plan, precision, True, target)
    read = sum(launch.counters.loads.sectors for launch in launches) * SECTOR / NUMBERS
    instructions = sum(launch.counters.warp_instructions for launch in launches) * WARP / NUMBERS
    assert read <= budget.bytes_read and instructions <= budget.instructions
    read_once = sum(each.nbytes for each in plan.tensors)
    for launch in launches:
        assert launch.counters.stores.sectors * SECTOR <= 1.01 * launch.counters.unique_bytes_stored  # and labels
        assert launch.counters.conflict_factor == 1.0 and launch.shared == 0
        assert launch.counters.unique_bytes_loaded <= NUMBERS * 4 + read_once + 16 * IMAGES
