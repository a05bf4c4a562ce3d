"""`fastgan tune` where there is no GPU, what it says about a table, and what `fastgan info` does."""

import os
import subprocess
import sys

import pytest
import torch

from fastgan import build_info, tuned
from fastgan.cli.app import run as fastgan
from fastgan.cli.info import described
from fastgan.cli.tune import text, verdict
from fastgan.errors import BackendError, FastganWarning
from fastgan.tuning import tune

CPU = torch.device("cpu")


def test_without_a_gpu_nothing_is_measured_and_nothing_written(tmp_path):
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "FASTGAN_TUNED": str(tmp_path / "tuned")}
    command = [sys.executable, "-m", "fastgan", "tune"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    last = done.stderr.strip().splitlines()[-1]
    assert (done.returncode, done.stdout) == (1, "")
    assert last == "fastgan: tune: nothing to measure on device 'cuda': torch sees no CUDA device"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", [["--dtype", "fp16,fp8"], ["--device", "cpu"], ["--seconds", "-1"]])
def test_wrong_options_are_usage_errors(shelf, capsys, option):
    assert fastgan(["tune", *option]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and "see 'fastgan tune --help'" in said.err
    assert not shelf.exists()


def test_the_python_twin_refuses_too():
    with pytest.raises(BackendError, match="it takes CUDA tensors|triton is not installed|sees no CUDA device"):
        tune("cpu")
    with pytest.raises(ValueError, match="precision must be one of fp32, tf32, fp16, bf16, got 'fp8'"):
        tune("cpu", ["fp8"], backend="cpu")


def test_a_line_for_every_class_says_who_runs(measured):
    lines = text(measured).splitlines()
    assert len(lines) == len(measured.entries) + len(measured.networks) + 2
    for line, entry in zip(lines, measured.entries, strict=False):
        assert line.startswith(entry.operator) and entry.shape_class in line
        assert line.endswith(verdict(entry, "cpu"))
    assert f"cpu for {len(measured.chosen())} of {len(measured.entries)} classes, 0 failed" in lines[-1]


def test_verdicts(measured):
    entry = measured.entries[0]._replace(speedup=1.3, chosen="cpu")
    assert verdict(entry, "cpu") == "cpu 1.30x"
    assert verdict(entry._replace(chosen="reference", speedup=0.8), "cpu") == "ATen; cpu 0.80x"
    failed = entry._replace(passed=False, reason="result 0 is not finite", speedup=None, chosen="reference")
    assert verdict(failed, "cpu") == "ATen; cpu failed the self-check: result 0 is not finite"


def test_info_says_whether_there_is_a_table_and_what_it_chooses(measured, choosing, shelf):
    facts = build_info.facts()
    said = [build_info.tuned_facts(tuned.load(CPU))]
    path = tuned.save(choosing(measured, "cpu", ("fp32",)))
    said.append(build_info.tuned_facts(tuned.load(CPU)))
    path.write_text("")
    with pytest.warns(FastganWarning):
        said.append(build_info.tuned_facts(tuned.load(CPU)))
    none, some, damaged = (
        next(each for each in described(facts | {"tuned": each}) if " tuned " in each) for each in said
    )
    count = len(measured.entries)
    assert none == "  tuned         no   not measured yet: `fastgan tune` does"
    assert some == f"  tuned         yes  {path}: {count} of {count} classes of shapes, models on chains at fp32"
    assert damaged.startswith(f"  tuned         no   {path} is no table")
    assert sum(said[1]["chosen"].values()) == count and said[1]["chosen"]["gan_loss fp32"] == 1
