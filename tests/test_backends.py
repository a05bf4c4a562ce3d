"""The choice of backend: what is forced is what runs, what cannot run says why, nonsense fails."""

import pytest
import torch
from support.processes import run_python, run_python_raw

from fastgan import backends, losses, native, tuned
from fastgan.errors import BackendError

LOGITS = torch.tensor([0.5, -0.5])


@pytest.fixture
def native_part(need):
    need(native.ops_missing(), "cpu")


def run_once() -> backends.Ran:
    with backends.record() as runs:
        losses.gan_loss(LOGITS, LOGITS)
    (run,) = runs
    return run


def test_auto_takes_the_native_operators_on_the_cpu(native_part):
    assert run_once() == ("gan_loss", "cpu", "default")


def test_forced_reference_runs():
    with backends.use_backend("reference"):
        assert run_once() == ("gan_loss", "reference", "")


def test_forced_cpu_runs(native_part):
    with backends.use_backend("cpu"):
        assert run_once() == ("gan_loss", "cpu", "default")


def test_the_innermost_choice_counts_and_ends_with_its_block(native_part):
    with backends.use_backend("reference"):
        with backends.use_backend("cpu"):
            assert run_once().backend == "cpu"
        assert run_once().backend == "reference"
    assert backends.current() == "auto"


def test_auto_on_cuda_tensors_is_the_reference_until_measured():
    with tuned.using(None):
        assert backends.choose("gan_loss", "cuda", torch.float32) == "reference"


@pytest.mark.parametrize("name", ["cuda", "triton"])
def test_a_forced_backend_that_cannot_run_says_why_and_what_can(name):
    with backends.use_backend(name), pytest.raises(BackendError) as caught:
        losses.gan_loss(LOGITS, LOGITS)
    said = str(caught.value)
    assert said.startswith(f"gan_loss: backend '{name}' cannot run here: ")
    assert "available for this call: reference" in said and "\n" not in said


def test_a_dtype_that_a_backend_does_not_take_is_a_reason(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    reason = backends.why_not("gan_loss", "triton", "cpu", torch.float64)
    assert reason in ("it does not take float64", "triton is not installed")


def test_nonsense_is_refused(native_part):
    wanted = "use_backend: name must be one of auto, reference, .* got 'gpu'"
    with pytest.raises(ValueError, match=wanted), backends.use_backend("gpu"):
        pass
    supported = "(avx512, )?(avx2, )?default"
    with pytest.raises(ValueError, match=f"must be one of auto, {supported} on this machine, got 'avx9'"):
        native.force_cpu_capability("avx9")


def test_a_forced_capability_is_the_one_that_runs(native_part):
    native.force_cpu_capability("default")
    try:
        assert native.cpu_capability() == "default"
        with backends.use_backend("cpu"):
            assert run_once().capability == "default"
    finally:
        native.force_cpu_capability("auto")


STEP = """
import torch
from fastgan import backends, losses
with backends.record() as runs:
    losses.gan_loss(torch.zeros(2), torch.zeros(2))
print(*runs[0])
"""


def test_the_environment_chooses():
    assert run_python(STEP, FASTGAN_BACKEND="reference").split() == ["gan_loss", "reference"]


def test_the_environment_chooses_the_capability(native_part):
    assert run_python(STEP, FASTGAN_CPU_CAPABILITY="default").split() == ["gan_loss", "cpu", "default"]


@pytest.mark.parametrize("variable", ["FASTGAN_BACKEND", "FASTGAN_CPU_CAPABILITY"])
def test_nonsense_in_the_environment_fails(variable, native_part):
    done = run_python_raw(STEP, **{variable: "quick"})
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode != 0
    assert f"{variable} must be one of auto" in done.stderr and "'quick'" in last, done.stderr
