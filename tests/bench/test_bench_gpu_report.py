"""What is said of a GPU: its facts, its limits, and results that were measured on one."""

import pytest
import torch
from fastgan.bench import cuda_device
from fastgan.bench.compare import compare
from fastgan.bench.engines import OURS
from fastgan.bench.race import records_of
from fastgan.bench.report import conditions, text
from fastgan.bench.roofline import fraction, mark
from fastgan.bench.suites import ops
from fastgan.bench.worker import block

from fastgan.cli import bench as command

CPU = torch.device("cpu")
SMI = "570.86.10, 1755, 1980, 2619, 2619, 700.00, 41"


@pytest.fixture
def machine():
    """A record as a GPU would leave it; the numbers are nobody's."""
    gpu = {
        "name": "NVIDIA Example",
        "compute_capability": "9.0",
        "multiprocessors": 132,
        "memory_gb": 80.0,
        "cuda": "13.0",
        "cudnn": 91200,
        "precision": "fp16",
        "matmul_tflops": 500.0,
        "copy_gb_per_s": 2500.0,
        **cuda_device.parsed(SMI),
    }
    return {
        "cpu": "Example CPU",
        "capability": "avx2",
        "threads": 16,
        "torch": "2.13.0",
        "versions": {"torch": "2.13.0"},
        "python": "3.12.0",
        "system": "Linux",
        "commit": None,
        "load_before": 0.5,
        "load_after": 0.6,
        "fma_gflops": None,
        "triad_gb_per_s": None,
        "gpu": gpu,
    }


def test_an_answer_of_nvidia_smi():
    assert cuda_device.parsed(SMI) == {
        "driver": "570.86.10",
        "sm_mhz": 1755,
        "sm_mhz_max": 1980,
        "memory_mhz": 2619,
        "memory_mhz_max": 2619,
        "power_limit_w": 700,
        "temperature_c": 41,
    }


@pytest.mark.parametrize("line", ["", "570.1, [N/A], [Not Supported], x"], ids=["nothing", "some"])
def test_what_nvidia_smi_does_not_say_is_none(line):
    told = cuda_device.parsed(line)
    assert told.pop("driver") == (line[:5] or None)
    assert set(told.values()) == {None}


def test_a_machine_without_nvidia_smi(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert set(cuda_device.smi_facts(None).values()) == {None}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_limits_are_rates(precision):
    assert 1e-4 < cuda_device.matmul_tflops(CPU, precision, side=256, tries=3) < 1e2
    assert 0.1 < cuda_device.copy_gb_per_s(CPU, size=1 << 22, tries=3) < 1e4


def test_the_conditions_begin_with_the_gpu(machine):
    first, second, third = conditions(machine).splitlines()
    assert first == (
        "NVIDIA Example, compute capability 9.0, 132 SMs, 80 GB, fp16 matmul peak 500.0 TFLOP/s, copy 2500 GB/s, "
        "SM 1755 of 1980 MHz, memory 2619 of 2619 MHz, power limit 700 W, driver 570.86.10, CUDA 13.0, cuDNN 91200"
    )
    assert second == "Example CPU, 16 threads, capability avx2, load 0.5 to 0.6"
    assert third.startswith("torch 2.13.0; Python 3.12.0")
    machine["gpu"] |= cuda_device.parsed("")
    assert "MHz" not in conditions(machine) and "driver" not in conditions(machine)


def test_the_roofline_is_the_gpus(machine):
    assert fraction(1e6, 2.5e8, machine) == pytest.approx(0.5)
    record = {"img_per_s": {"p50": 1e6}, "gflop_per_image": 0.25, "machine": machine}
    mark(record)
    assert record["roofline_fraction"] == pytest.approx(0.5)


def records(machine, seconds, refused=(), device="cuda", precision="fp16"):
    from fastgan.bench.cases import Case
    from fastgan.bench.gate import Verdict

    case = Case("generator", "unconditional", 8, "generator", {}, {}, {}, 1000, lambda case: {}, device, precision)
    verdicts = {name: Verdict(1e-3) for name in seconds} | {name: Verdict(1.0, said) for name, said in refused}
    return records_of(case, "passive", seconds, verdicts, machine)


def test_ours_with_a_choice_forced_is_no_peer(machine):
    found = records(machine, {OURS: [0.4], "fastgan-graph": [0.1], "eager": [0.2]})
    assert {record["best_peer"] for record in found} == {"eager"}
    assert {record["backend"]: record["ratio_to_best_peer"] for record in found}["fastgan-graph"] == pytest.approx(2)
    assert all((record["device"], record["precision"]) == ("cuda", "fp16") for record in found)
    lines = text({"machine": machine, "records": found, "notes": [], "interrupted": False}).splitlines()
    assert "generator, unconditional, batch 8, cuda fp16" in lines
    assert [line.split()[:2] for line in lines[-3:]] == [["*", "fastgan-graph"], ["eager", "40.0"], ["*", "fastgan"]]
    lost = ops.losers([{**record, "suite": "ops"} for record in found])
    assert lost == ["slower than eager on unconditional, batch 8: 0.50 of its speed"]


@pytest.mark.parametrize(
    ("name", "said", "fails"),
    [
        (OURS, "cannot run: RuntimeError: x", True),
        ("fastgan-triton", "cannot run: BackendError: x", False),
        ("fastgan-triton", "wrong: images differs", True),
        ("eager", "wrong: images differs", False),
    ],
)
def test_what_fails_the_command(machine, name, said, fails):
    (record,) = records(machine, {}, [(name, said)])
    assert command._failed(record) is fails


def test_results_of_two_devices_or_precisions_are_not_compared(machine):
    def result(**place):
        return {"records": records(machine, {OURS: [0.1], "fastgan-graph": [0.1], "eager": [0.1]}, **place)}

    on_gpu = result()
    assert len(compare(on_gpu, on_gpu).lines) == 2
    assert compare(on_gpu, on_gpu).lines[1].startswith("generator, unconditional, batch 8, fastgan-graph, cuda fp16:")
    for place in ({"device": "cpu", "precision": "fp32"}, {"precision": "bf16"}):
        with pytest.raises(ValueError, match="no case of fastgan in common"):
            compare(on_gpu, result(**place))


def test_memory_of_a_gpu_is_told_with_what_was_reserved(machine):
    (record,) = records(machine, {OURS: []})
    record |= {"suite": "memory", "bytes": {"transient": 2e6, "vm_hwm": None, "reserved": 9e6, "saved": 1e6}}
    lines = text({"machine": machine, "records": [record], "notes": [], "interrupted": False}).splitlines()
    assert "reserved MB" in lines[-2] and "VmHWM" not in lines[-2]
    assert lines[-1].split() == ["*", OURS, "2.0", "9.0", "1.0", "-"]


def test_a_block_waits_for_the_device_twice():
    turns = []
    calls, _ = block(lambda: turns.append("call"), 2, 0.0, lambda: turns.append("wait"))
    assert calls == 1
    assert turns == ["call", "call", "wait", "call", "wait"]


def test_waiting_counts(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])

    def spend(seconds):
        clock[0] += seconds

    assert block(lambda: spend(0.25), 0, 0.5, lambda: spend(3.0)) == (2, 3.5)
