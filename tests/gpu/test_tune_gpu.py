"""`fastgan tune` on a real GPU: a short scope is measured, written, and is what `auto` takes from then on."""

import pytest
import torch

from fastgan import backends, tuned
from fastgan.machine import facts
from fastgan.ops.affine_act_conv2d import affine_act_conv2d
from fastgan.tuning import Scope, tune
from fastgan.tuning.cases import cases
from fastgan.tuning.self_check import complaint

pytestmark = pytest.mark.gpu

SHORT = Scope(
    models=(("dcgan", (16, 16), 3),), width=32, batches=(16,), network_batch=16, logits=(64,), rounds=3, seconds=1e-3
)
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@pytest.fixture(autouse=True)
def triton(need):
    need(backends.why_not("affine_act_conv2d", "triton", "cuda", torch.float32), "triton")


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTGAN_TUNED", str(tmp_path))
    tuned.of_this_device.cache_clear()
    yield tmp_path
    tuned.of_this_device.cache_clear()


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
def test_the_self_check_passes(dtype):
    found = [each for each in cases(SHORT) if not backends.why_not(each.operator, "triton", "cuda", dtype)]
    torch.backends.cudnn.conv.fp32_precision, before = "ieee", torch.backends.cudnn.conv.fp32_precision
    try:
        said = {
            (each.operator, each.shape_class): complaint(each, "triton", torch.device("cuda"), dtype) for each in found
        }
    finally:
        torch.backends.cudnn.conv.fp32_precision = before
    assert not {key: value for key, value in said.items() if value}


def test_auto_takes_what_was_measured(shelf):
    x, w = torch.randn(16, 32, 8, 8, device="cuda").half(), torch.randn(64, 32, 4, 4, device="cuda").half()

    def ran() -> str:
        with backends.record() as runs:
            affine_act_conv2d(x, w, None, None, None, "none", 1.0, 2, 1)
        return runs[0].backend

    assert ran() == "reference"
    table = tune("cuda", ["fp16"], scope=SHORT)
    path = tuned.save(table)
    assert path.parent == shelf and tuned.find(facts(torch.device("cuda"))).table == table
    # The same table with every class won, so that the outcome does not hang on who was faster.
    entries = tuple(each._replace(passed=True, speedup=2.0, least=2.0, chosen="triton") for each in table.entries)
    tuned.save(tuned.Table(table.device_type, table.backend, table.machine, table.settings, entries))
    assert ran() == "triton"
