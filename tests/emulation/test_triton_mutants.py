"""The PTX of a real kernel with one line spoilt: every such mutant must be noticed, or be known to be harmless."""

import re

import pytest
import torch

from .ptx import TRITON_HIDDEN_POINTERS, EmulationError, Order, launch
from .test_triton_kernels import normal

pytestmark = pytest.mark.emulation
TARGETS = ("sm_80", "sm_90")


class Subject:
    """The kernel with a prologue and statistics, on fixed tensors; `notices` runs a mutant of its PTX."""

    def __init__(self, rig, target: str):
        x, w = normal(200, 96, dtype=torch.float16), normal(96, 72, dtype=torch.float16, seed=1)
        s, t = normal(96, seed=2), normal(96, seed=3)
        with rig.capture.capture() as launches:
            rig.sample_kernels.affine_act_matmul(x, w, s, t, 0.2)
        self.launch = launches[0]
        self.compiled = self.launch.compile(target)
        self.parameters = self.launch.specialise(target).parameters
        v = x.double() * s.double() + t.double()
        self.exact = torch.where(v > 0, v, 0.2 * v) @ w.double()

    def notices(self, ptx: str, order: Order) -> bool:
        arguments = self.launch.arguments
        arguments["y_ptr"].fill_(float("nan")), arguments["mean_ptr"].fill_(float("nan"))
        arguments["partial_ptr"].fill_(float("nan")), arguments["counter_ptr"].zero_()
        try:
            launch(
                ptx,
                self.launch.grid,
                self.compiled.threads,
                [arguments[name] for name in self.parameters],
                self.compiled.shared_bytes,
                hidden_pointers=TRITON_HIDDEN_POINTERS,
                order=order,
                count=False,
            )
        except EmulationError:
            return True
        y, mean = arguments["y_ptr"].double(), arguments["mean_ptr"].double()
        right = (y - self.exact).abs().max() < 0.01 * self.exact.abs().max() and (mean - y.mean(0)).abs().max() < 1e-5
        return not right or int(arguments["counter_ptr"].abs().max()) != 0

    def mutants(self, pattern: str, replacement) -> list[str]:
        text = self.compiled.text
        return [text[: m.start()] + m.expand(replacement(m)) + text[m.end() :] for m in re.finditer(pattern, text)]


@pytest.fixture(scope="module", params=TARGETS)
def subject(request, rig) -> Subject:
    return Subject(rig, request.param)


@pytest.mark.parametrize("order", [Order(), Order("ascending"), Order("straggling")], ids=str)
def test_the_kernel_itself_passes(subject, order):
    assert not subject.notices(subject.compiled.text, order)


@pytest.mark.parametrize("order", [Order(), Order("descending")], ids=str)
def test_removed_barriers(subject, order):
    """Triton puts one before the loop that nothing needs, and on sm_90 one after it."""
    mutants = subject.mutants(r"bar\.sync\s+0;", lambda match: "")
    unnoticed = [number for number, mutant in enumerate(mutants) if not subject.notices(mutant, order)]
    assert len(mutants) >= 10
    assert len(unnoticed) <= 2 and 0 in unnoticed


def test_waits_that_leave_one_group_more(subject):
    """On sm_80 the last wait has nothing left to wait for: no group is full any more."""
    looser = subject.mutants(r"cp\.async\.wait_group\s+(\d+);", lambda m: f"cp.async.wait_group {int(m.group(1)) + 1};")
    noticed = [subject.notices(mutant, Order()) for mutant in looser]
    assert len(noticed) == 2 and noticed[0]
    if ".target sm_90a" in subject.compiled.text:
        pattern = r"wgmma\.wait_group\.sync\.aligned\s+0;"
        waits = subject.mutants(pattern, lambda match: "wgmma.wait_group.sync.aligned 1;")
        assert waits and all(subject.notices(mutant, Order()) for mutant in waits)


def test_dropped_masks(subject):
    """Stores to global memory without their predicates, all but the last: every thread may set the counter to 0."""
    mutants = subject.mutants(r"@%p\d+ (st\.global[^;]*;)", lambda match: r"\1")
    noticed = [subject.notices(mutant, Order()) for mutant in mutants]
    assert len(mutants) >= 5 and noticed == [True] * (len(mutants) - 1) + [False]


def test_sources_that_are_not_zero_filled(subject):
    """Every cp.async with a size of its own copies everything: tiles past the end of x and w."""
    mutants = subject.mutants(r"(cp\.async\.cg\.shared\.global [^;]*, 0x10), %r\d+;", lambda match: r"\1;")
    assert mutants and any(subject.notices(mutant, Order()) for mutant in mutants)


def test_swapped_operands(subject):
    pattern = r"(mma\.sync\S* \{[^}]*\}, )(\{ ?)(%r\d+), (%r\d+)"
    if ".target sm_90a" in subject.compiled.text:
        pattern = r"(wgmma\.mma_async\S* \{[^}]*\}, )(\{)(%r\d+),(%r\d+)"
    mutants = subject.mutants(pattern, lambda match: r"\1\2\4, \3")
    assert mutants and all(subject.notices(mutant, Order()) for mutant in mutants)
