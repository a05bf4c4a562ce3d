"""Backend cuda on CPU tensors: who may use it, what it says when it cannot, and how a launch's error comes out."""

import pytest
import torch
from support import cuda_host
from support.processes import run_python

from fastgan import backends, losses, native
from fastgan.errors import BackendError
from fastgan.ops.affine_act import affine_act

LOGITS = torch.tensor([0.5, -0.5])


@pytest.mark.cuda_host
def test_it_runs_where_it_is_forced_and_auto_leaves_it_alone():
    with cuda_host.switched_on():
        assert backends.unavailable("cuda") is None
        with backends.use_backend("cuda"), backends.record() as runs:
            losses.gan_loss(LOGITS, LOGITS)
            affine_act(torch.zeros(2, 3), None, None, "relu", 0.0)
        assert [run.backend for run in runs] == ["cuda", "cuda"]
        assert "cuda" not in (backends.choose("gan_loss", "cpu", torch.float32), backends.current())
        assert backends.why_not("gan_loss", "cuda", "cuda", torch.float32) == "it takes CPU tensors, got CUDA ones"
    assert backends.why_not("gan_loss", "cuda", "cpu", torch.float32) is not None


@pytest.mark.cuda_host
def test_the_error_of_a_launch_is_an_exception(monkeypatch):
    with cuda_host.forced(cuda_host.BACKENDS[0]):
        monkeypatch.setenv("FASTGAN_CUDA_HOST_SCHEDULE", "quick")
        for op, call in (
            ("gan_loss", lambda: losses.gan_loss(LOGITS, LOGITS)),
            ("affine_act", lambda: affine_act(LOGITS[None], None, None, "relu", 0.0)),
        ):
            said = f", {op}: CUDA launch failed: FASTGAN_CUDA_HOST_SCHEDULE must be a number"
            with pytest.raises(RuntimeError, match=said):
                call()
        monkeypatch.setenv("FASTGAN_CUDA_HOST_SCHEDULE", "0")
        losses.gan_loss(LOGITS, LOGITS)


@pytest.mark.cuda_host
def test_what_a_launcher_refuses_is_a_sentence_of_its_own():
    """No launch failed where none was tried."""
    x, weight, here = torch.zeros(1, 2, 3, 3).double(), torch.zeros(2, 2, 1, 1).double(), ([1, 1], [0, 0], [3, 3])
    with cuda_host.switched_on(), pytest.raises(RuntimeError) as caught:
        convolve = native.cuda_operators().affine_act_conv_cuda
        convolve(x, weight, None, None, None, 0, 1.0, *here, False, False, False)
    said = str(caught.value)
    assert said.endswith(", affine_act_conv: maps must be float32, float16 or bfloat16")
    assert said.count("affine_act_conv: ") == 1 and "launch failed" not in said


@pytest.mark.cuda_host
def test_it_takes_the_same_arguments_as_the_other_operators():
    """Checks of memory facts are those of the binding, not of the backend."""
    with cuda_host.switched_on(), pytest.raises(RuntimeError, match="affine_act: activation must be 0 to 3, got 4"):
        native.cuda_operators().affine_act(torch.zeros(2, 3), None, None, 4, 0.0, False)


def test_a_library_that_is_not_there_is_a_reason():
    code = """
import torch
from fastgan import backends, errors, losses
try:
    with backends.use_backend("cuda"):
        losses.gan_loss(torch.zeros(2), torch.zeros(2))
except errors.BackendError as error:
    print(error)
"""
    said = run_python(code, FASTGAN_CUDA_HOST="/nowhere.so")
    assert said.startswith("gan_loss: backend 'cuda' cannot run here: FASTGAN_CUDA_HOST must name a library of ")
    assert "got '/nowhere.so', which is no file" in said and "available for this call: reference" in said


def test_what_is_no_library_is_a_reason(tmp_path):
    (tmp_path / "text.so").write_text("text")
    code = "from fastgan import backends; print(backends.unavailable('cuda'))"
    said = run_python(code, FASTGAN_CUDA_HOST=str(tmp_path / "text.so"))
    assert "text.so does not load in torch" in said


def test_without_it_cuda_wants_cuda_tensors():
    with backends.use_backend("cuda"), pytest.raises(BackendError, match="backend 'cuda' cannot run here"):
        losses.gan_loss(LOGITS, LOGITS)
