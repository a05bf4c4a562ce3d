"""The rig for tests of compiled kernels; tests of the emulator alone need neither it nor Triton."""

import importlib
import importlib.util
import os
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
