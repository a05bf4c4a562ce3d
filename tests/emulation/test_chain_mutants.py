"""Every mistake of chain_mutants.py fails the check that is named beside it."""

import pytest

from .chain_mutants import PTX, SOURCES, TEST
from .ptx import EmulationError

# A check finds what is wrong, or the emulator what nobody may do.
NOTICED = (AssertionError, EmulationError)


def _mark(mutant):
    return [] if mutant.suite == TEST else [getattr(pytest.mark, mutant.suite)]


@pytest.mark.parametrize("mutant", [pytest.param(m, id=m.name, marks=_mark(m)) for m in SOURCES])
def test_mistakes_in_the_sources(rig, mutant, tmp_path):
    kernels = rig.package_copies.spoilt(tmp_path, mutant.file, mutant.old, mutant.new)
    with pytest.raises(NOTICED):
        rig.chain_checks.CHECKS[mutant.check](rig.chain_checks.Subject(kernels=kernels))


@pytest.mark.parametrize("mutant", [pytest.param(m, id=m.name, marks=_mark(m)) for m in PTX])
def test_mistakes_in_the_ptx(rig, mutant):
    changed = []

    def edit(ptx: str) -> str:
        spoilt = mutant.of(ptx)
        changed.append(spoilt != ptx)
        return spoilt

    try:
        with pytest.raises(NOTICED):
            rig.chain_checks.CHECKS[mutant.check](rig.chain_checks.Subject(mutant.target, edit=edit))
    finally:
        rig.chain_launches.workspace._counters.clear()  # left anywhere, and the package's own
    assert any(changed), "the pattern does not occur"
