"""`fastgan bench --device cuda` on a real GPU: each suite at a tiny size, every row of it, and what makes it fair."""

import json

import pytest
import torch
from fastgan.bench import cuda_device
from fastgan.bench.engines import OURS, on_cuda
from fastgan.bench.options import Options
from fastgan.bench.step import TrainingStep
from fastgan.bench.stock import build
from fastgan.bench.suites import train_step

from fastgan.cli.app import run

pytestmark = pytest.mark.gpu

TINY = ("--device", "cuda", "--size", "16x16", "--width", 8, "--rounds", 1, "--seconds", 0.001)
EAGER_ROWS = [b.name for b in on_cuda.BACKENDS if b.module == "torch_eager"]
PRECISIONS = ("fp32", "fp16", "bf16")


def bench(tmp_path, *arguments):
    """The result of a command that ends well, none of whose rows was refused."""
    assert run(["bench", *map(str, (*arguments, *TINY)), "--out", str(tmp_path / "out")]) == 0
    result = json.loads((tmp_path / "out/results.json").read_text())
    assert result["records"]
    refused = {record["backend"]: record["refused"] for record in result["records"] if record["refused"]}
    assert not refused
    for record in result["records"]:
        assert record["device"] == "cuda"
        assert record["machine"]["gpu"]["matmul_tflops"] > 0
    return result


def check_rows(result, task):
    """Every row that has the task was run, or its reason noted."""
    noted = {note.partition(":")[0] for note in result["notes"]}
    names = {record["backend"] for record in result["records"]}
    wanted = {b.name for b in on_cuda.BACKENDS if task in b.tasks and b.module in ("ours", "torch_eager")}
    assert wanted - noted <= names


@pytest.mark.parametrize("precision", PRECISIONS)
def test_generator(precision, tmp_path, capsys):
    peers = ",".join(EAGER_ROWS)
    result = bench(tmp_path, "generator", "--batch", 4, "--precision", precision, "--peers", peers)
    check_rows(result, "generator")
    assert {record["case"] for record in result["records"]} == {"unconditional", "10 classes"}
    assert all(record["roofline_fraction"] > 0 for record in result["records"])
    assert "matmul peak" in capsys.readouterr().out.splitlines()[0]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_train_step(precision, tmp_path):
    peers = ",".join(EAGER_ROWS)
    result = bench(tmp_path, "train-step", "--batch", 4, "--precision", precision, "--peers", peers)
    check_rows(result, "train-step")
    check_rows(result, "train-step-r1")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("suite", ["generator", "train-step"])
def test_compiled_and_other_runtimes(suite, tmp_path):
    names = [b.name for b in on_cuda.BACKENDS if b.module in ("torch_compile", "onnx_runtime_cuda")]
    bench(tmp_path, suite, "--batch", 4, "--precision", "fp16", "--peers", ",".join(names))


def test_quick(tmp_path):
    result = bench(tmp_path, "quick", "--batch", 4, "--precision", "fp16", "--peers", "eager")
    assert {record["suite"] for record in result["records"]} == {"generator", "train-step"}


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_memory(precision, tmp_path, capsys):
    result = bench(tmp_path, "memory", "--batch", 4, "--precision", precision)
    assert {OURS, "eager", "channels-last"} <= {record["backend"] for record in result["records"]}
    for record in result["records"]:
        measured = record["bytes"]
        assert measured["reserved"] >= measured["transient"] > 0
        assert measured["saved"] > 0
    assert "reserved MB" in capsys.readouterr().out


@pytest.mark.parametrize("precision", PRECISIONS)
def test_ops(precision, tmp_path):
    result = bench(tmp_path, "ops", "--batch", 4, "--precision", precision)
    names = {record["backend"] for record in result["records"] if "gan_loss" not in record["case"]}
    assert {OURS, "stock torch", "stock torch tuned"} <= names
    assert any("gan_loss" in record["case"] for record in result["records"])


def test_the_facts_of_the_device():
    facts = cuda_device.facts("fp16")
    assert facts["name"] == torch.cuda.get_device_name()
    first = facts["matmul_tflops"]
    cuda_device.look_again(facts)
    assert facts["matmul_tflops"] >= first > 0.1
    assert facts["copy_gb_per_s"] > 10


@pytest.mark.parametrize("r1", [0, 1], ids=["plain", "R1"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_step_does_not_wait_for_the_device(precision, r1):
    """Or its time would be that of a round trip, and no graph could hold it."""
    case = train_step.cases(Options(size=(16, 16), width=8, threads=1, batch=4))[r1]
    models = [build(case.job[name]).cuda() for name in ("generator", "discriminator")]
    z, x = (torch.from_numpy(case.inputs[name]).cuda() for name in ("z", "x"))
    step = TrainingStep(*models, z, x, bool(r1), precision)
    step()
    torch.cuda.set_sync_debug_mode("error")
    try:
        step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
