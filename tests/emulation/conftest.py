"""The rig for tests of compiled kernels; tests of the emulator alone need neither it nor Triton."""

import importlib
import importlib.util
import os
import sys
from collections import Counter
from types import SimpleNamespace

import pytest

MODULES = (
    "budgets",
    "capture",
    "cases",
    "chain_checks",
    "chain_launches",
    "compilation",
    "package_copies",
    "pass_launches",
    "resources",
    "sample_convolutions",
    "sample_kernels",
)


@pytest.fixture(scope="session")
def rig(need) -> SimpleNamespace:
    """The modules that import Triton. A process is either interpreter or compiler: this one compiles."""
    need("triton is not installed" if importlib.util.find_spec("triton") is None else None, "triton")
    assert not os.environ.get("TRITON_INTERPRET"), "TRITON_INTERPRET is set: nothing compiles in this process"
    return SimpleNamespace(**{name: importlib.import_module(f"{__package__}.{name}") for name in MODULES})


_kernels: Counter[str] = Counter()  # of every process of a run, at its end


def _count() -> dict[str, int]:
    """What this process has compiled and taken from the cache, nothing where it has not used the rig."""
    compilation = sys.modules.get(f"{__package__}.compilation")
    return {} if compilation is None else {"compiled": compilation.compilations, "cached": len(compilation.reused)}


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["triton_kernels"] = _count()
    else:
        _kernels.update(_count())


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_testnodedown(node) -> None:
    _kernels.update(getattr(node, "workeroutput", {}).get("triton_kernels", {}))


def pytest_terminal_summary(terminalreporter) -> None:
    if _kernels:
        compiled, cached = _kernels["compiled"], _kernels["cached"]
        terminalreporter.write_line(f"Triton kernels: compiled {compiled}, from cache {cached} (counted per process)")
