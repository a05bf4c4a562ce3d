"""The chain operators and affine_act in Triton without a GPU: run in the interpreter, in a process of its own.

What is checked, and how, is in tests/support/triton_chain_checks.py.
"""

import importlib.util
import json

import pytest
from support.processes import run_python
from support.triton_chain_checks import CHECKS

pytestmark = pytest.mark.emulation  # a minute: `make test-emulation` runs it


@pytest.fixture(scope="module")
def failures(need, request) -> dict[str, str | None]:
    need("triton is not installed" if importlib.util.find_spec("triton") is None else None, "triton")
    tests = str(request.config.rootpath / "tests")
    code = "from support import triton_chain_checks; triton_chain_checks.main()"
    return json.loads(run_python(code, timeout=280, TRITON_INTERPRET="1", PYTHONPATH=tests))


@pytest.mark.parametrize("name", CHECKS)
def test_in_the_interpreter(name, failures):
    assert failures[name] is None, failures[name]
