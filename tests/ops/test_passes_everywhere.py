"""affine_act and gan_loss: one list of checks for stock torch, the CPU's kernels, Triton's and CUDA's.

The checks are in tests/support/pass_checks.py. Triton's kernels run in the interpreter, in a process of its own; CUDA's
as C++ on the CPU, under every schedule.
"""

import importlib.util
import json

import pytest
from support import cuda_host
from support.pass_checks import CHECKS
from support.processes import run_python

from fastgan import backends, native

pytestmark = pytest.mark.cuda_host
checks = pytest.mark.parametrize("name", CHECKS)


@checks
@pytest.mark.parametrize("backend", ["reference", "cpu", *cuda_host.BACKENDS])
def test_in_this_process(name, backend, need):
    if backend == "cpu":
        need(native.ops_missing(), "cpu")
    with cuda_host.forced(backend), backends.record() as runs:
        CHECKS[name]()
    assert {run.backend for run in runs} == {backend.partition("-")[0]}


@pytest.fixture(scope="module")
def failures(need, request) -> dict[str, str | None]:
    need("triton is not installed" if importlib.util.find_spec("triton") is None else None, "triton")
    code = "from support import pass_checks, triton_interpreter; triton_interpreter.install(); pass_checks.main()"
    tests = str(request.config.rootpath / "tests")
    return json.loads(run_python(code, timeout=280, TRITON_INTERPRET="1", PYTHONPATH=tests))


@checks
def test_in_tritons_interpreter(name, failures):
    assert failures[name] is None, failures[name]
