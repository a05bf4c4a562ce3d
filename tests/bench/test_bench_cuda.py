"""`fastgan bench --device cuda` as far as a machine without a GPU sees it: refusals, rows, each engine on the CPU."""

import importlib.util
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from fastgan.bench import gate
from fastgan.bench.engines import OURS, is_ours, missing, on_cuda, ours, torch_compile, torch_eager
from fastgan.bench.options import Options, backends_on, peer_names
from fastgan.bench.process import environment
from fastgan.bench.run import chosen
from fastgan.bench.suites import generator, memory, ops, train_step
from support.processes import run_python

from fastgan import backends
from fastgan.cli.app import run
from fastgan.device import DTYPES

TINY = {"size": (16, 16), "width": 8, "threads": 1, "batch": 4}
HALVES = ("fp16", "bf16")
MODULES = {"ours": ours, "torch_eager": torch_eager}


def case_at(precision, suite=generator, which=0):
    """A case of a GPU's precision whose engines compute here."""
    return replace(suite.cases(Options(**TINY))[which], precision=precision)


def without_device(options):
    """Of a row's options those that need no GPU; a forced backend is the one that runs anywhere."""
    kept = {name: value for name, value in options.items() if name not in ("graph", "backend")}
    return {**kept, **({"backend": "reference"} if "backend" in options else {})}


def prepared(backend, case, prepare=None):
    job, arrays = case.work_for(backend, 1, "passive")
    return (prepare or MODULES[backend.module].prepare)({**job, "options": without_device(backend.options)}, arrays)


@pytest.mark.slow
def test_without_a_gpu_nothing_is_measured(tmp_path):
    words = ["bench", "generator", "--device", "cuda", "--precision", "fp16", "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-m", "fastgan", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 1
    assert done.stderr == (
        "fastgan: device 'cuda' is not available: torch sees no CUDA device here; use --device cpu\n"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["generator", "--device", "gpu"], "--device"),
        (["generator", "--device", "cuda", "--precision", "tf32"], "--precision"),
        (["generator", "--precision", "fp16"], "precision must be fp32 on the CPU, got 'fp16'"),
        (["memory", "--precision", "bf16"], "precision must be fp32 on the CPU, got 'bf16'"),
        (["generate", "--device", "cuda"], "suite generate is for device cpu alone, got 'cuda'"),
        (["gpu-model", "--device", "cuda"], "suite gpu-model is for device cpu alone, got 'cuda'"),
        (["generator", "--device", "cuda", "--peers", "jax"], "got 'jax'"),
        (["generator", "--peers", "channels-last-graph"], "got 'channels-last-graph'"),
    ],
    ids=lambda each: "-".join(each) if isinstance(each, list) else "",
)
def test_mistakes(arguments, sentence, capsys):
    assert run(["bench", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert sentence in err


def test_defaults():
    assert [(o.device, o.precision) for o in (Options(), Options("gpu-model"))] == [("cpu", "fp32"), ("cpu", "fp16")]
    assert Options(device="auto").device == ("cuda" if torch.cuda.is_available() else "cpu")
    assert Options("generate", device="auto").device == "cpu"
    on_gpu = Options(device="cuda", precision="bf16")
    assert (on_gpu.precision, on_gpu.waiting) == ("bf16", ("passive",))


def test_an_engine_sees_the_gpu_where_it_shall():
    assert environment(1, "passive")["CUDA_VISIBLE_DEVICES"] == ""
    on_gpu = environment(1, "passive", "cuda")
    assert on_gpu.get("CUDA_VISIBLE_DEVICES") == os.environ.get("CUDA_VISIBLE_DEVICES")
    assert on_gpu["NVIDIA_TF32_OVERRIDE"] == "0"


def test_rows_have_names_of_their_own_that_fit_the_tables():
    for rows in (on_cuda.BACKENDS, memory.BACKENDS_ON_CUDA, ops.BACKENDS_ON_CUDA):
        names = [backend.name for backend in rows]
        assert len(set(names)) == len(names)
        assert all(len(name) <= 22 for name in names)
        assert names[0] == OURS
        assert {f"{OURS}-triton", f"{OURS}-cuda"} <= set(names)
    assert not [name for name in peer_names("all", "cuda") if is_ours(name)]


def test_a_row_runs_or_says_why_not():
    notes = []
    options = Options(device="cuda", precision="bf16", peers="all")
    running = {backend.name for backend in chosen(options, notes)}
    left_out = {note.partition(":")[0] for note in notes}
    assert running | left_out == {backend.name for backend in backends_on("cuda")}
    assert not running & left_out
    assert OURS in running and "onnxruntime-cuda" in left_out
    for name in on_cuda.FORCED:
        reason = on_cuda.why_not(name, "bf16")
        assert (f"{OURS}-{name}" in running) == (reason is None)
        assert reason is None or f"{OURS}-{name}: {reason}" in notes
    assert "half-folded: is for half precision" in (chosen(replace(options, precision="fp32"), notes), notes)[1]


ROWS = [backend for backend in on_cuda.BACKENDS if backend.module in MODULES]


@pytest.mark.parametrize("precision", ["fp32", *HALVES])
@pytest.mark.parametrize("backend", [b for b in ROWS if "generator" in b.tasks], ids=lambda b: b.name)
def test_generators_pass_the_gate_of_their_precision(backend, precision):
    if precision == "fp32" and backend.options.get("stored"):
        return
    for which in (0, 1):
        case = case_at(precision, which=which)
        engine = prepared(backend, case)
        assert engine.call().dtype == torch.float32
        verdict = gate.judge(engine.check(), case.expected(case), case.tolerance)
        assert verdict.complaint is None
        assert precision == "fp32" or verdict.error > 1e-4  # it did compute in half precision
        engine.synchronise()


@pytest.mark.parametrize("precision", ["fp32", *HALVES])
@pytest.mark.parametrize("r1", [0, 1], ids=["plain", "R1"])
@pytest.mark.parametrize("backend", [b for b in ROWS if "train-step" in b.tasks], ids=lambda b: b.name)
def test_training_steps_pass_the_gate_of_their_precision(backend, r1, precision):
    case = case_at(precision, train_step, r1)
    engine = prepared(backend, case)
    with backends.record() as runs:
        first = engine.check()
    verdict = gate.judge(first, case.expected(case), case.tolerance)
    assert verdict.complaint is None
    if "backend" in backend.options:
        assert {run.backend for run in runs} == {"reference"}
    engine.reset()
    again = engine.check()
    assert all((first[name] == again[name]).all() for name in first)


@pytest.mark.parametrize("suite", [generator, train_step], ids=["generator", "train-step"])
@pytest.mark.parametrize("name", ["compile", "max-autotune"])
def test_compiled_engines_but_for_the_compiler(name, suite):
    """The compiler itself takes half a minute here, and makes other code on a GPU."""
    backend = next(each for each in on_cuda.BACKENDS if each.name == name)
    case = case_at("bf16", suite)
    with torch.compiler.set_stance("force_eager"):
        engine = prepared(backend, case, torch_compile.prepare)
        verdict = gate.judge(engine.check(), case.expected(case), case.tolerance)
    assert verdict.complaint is None


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp16"])
def test_onnx_runtime_with_images_bound_to_its_device(precision, need):
    backend = next(each for each in on_cuda.BACKENDS if each.name == "onnxruntime-cuda")
    need(missing(backend), "onnxruntime")
    from fastgan.bench.engines import onnx_runtime_cuda

    backend = replace(backend, options={"provider": "CPUExecutionProvider"})
    case = case_at(precision, which=1)
    engine = prepared(backend, case, onnx_runtime_cuda.prepare)
    assert gate.judge(engine.check(), case.expected(case), case.tolerance).complaint is None


def test_a_graph_needs_a_gpu():
    backend = next(each for each in on_cuda.BACKENDS if each.name == "channels-last-graph")
    job, arrays = case_at("fp32").work_for(backend, 1, "passive")
    with pytest.raises(ValueError, match="a CUDA graph needs a CUDA device, got cpu"):
        torch_eager.prepare({**job, "options": backend.options}, arrays)


@pytest.mark.parametrize("precision", HALVES)
@pytest.mark.parametrize("which", range(3), ids=ops.PASSES)
def test_operators_pass_the_gate_of_their_precision(which, precision):
    from fastgan.bench.engines import operator

    options = Options("ops", device="cuda", precision=precision, **TINY)
    for case in ops.cases(options)[which :: len(ops.PASSES)]:
        case = replace(case, device="cpu")
        for name in {"x", "weight", "grad_output"} & case.inputs.keys():
            given = torch.from_numpy(case.inputs[name])
            assert torch.equal(given, given.to(DTYPES[precision]).float())
        got = prepared(ops.BACKENDS_ON_CUDA[1], case, operator.prepare).check()
        assert gate.judge(got, case.expected(case), case.tolerance).complaint is None


INTERPRETED = """
import sys
from dataclasses import replace
from fastgan import backends
from fastgan.bench import gate, place
from fastgan.bench.engines import on_cuda, ours
from fastgan.bench.options import Options
from fastgan.bench.suites import generator, train_step

row = next(row for row in on_cuda.BACKENDS if row.name == "fastgan-triton")

def judged(suite, precision):
    case = replace(suite.cases(Options(size=(16, 16), width=8, threads=1, batch=2))[0], precision=precision)
    job, arrays = case.work_for(row, 1, "passive")
    engine = ours.prepare({**job, "options": row.options}, arrays)
    with backends.record() as runs:
        verdict = gate.judge(engine.check(), case.expected(case), case.tolerance)
    print(case.suite, precision, *sorted({run.backend for run in runs}), verdict.complaint)

judged(generator, "fp32")
place.forbid_tf32()
for suite, precision in ((generator, "fp32"), (generator, "fp16"), (train_step, "fp16")):
    judged(suite, precision)
"""


@pytest.mark.slow
def test_the_row_of_triton_in_its_interpreter(need):
    """Its kernels on CPU tensors, whose bf16 the interpreter gets wrong. Float32 with TF32 is refused."""
    need(None if importlib.util.find_spec("triton") else "triton is not installed", "triton")
    with_tf32, *without = run_python(INTERPRETED, TRITON_INTERPRET="1").splitlines()
    assert with_tf32.startswith("generator fp32 triton wrong: images differs from float64")
    expected = ["generator fp32 triton None", "generator fp16 triton None", "train-step fp16 triton None"]
    assert without == expected
