"""The demo as a stranger runs it: real processes, killed on the way, the page's path as the last line."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from fastgan.errors import DataError, OutputError
from fastgan.run import Run
from fastgan.tasks import demo as demo_module
from fastgan.tasks.demo import DemoOptions, demo
from fastgan.train import Outcome

WORDS = ["--data", "digits", "--images", "512", "--n", "64", "--seeds", "2", "--steps", "5", "--real-per-class", "30"]


def command(out: Path) -> list[str]:
    return [sys.executable, "-m", "fastgan", "demo", "--out", str(out), *WORDS]


@pytest.mark.slow
def test_a_killed_demo_goes_on_to_its_page(tmp_path):
    out, environment = tmp_path / "out", {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command(out), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not (out / "run" / "checkpoints" / "latest").exists() and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (out / "report.html").exists()

    done = subprocess.run(command(out), env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str((out / "report.html").resolve())
    for step in ("[1/5]", "[2/5]", "[3/5]", "[4/5]", "[5/5]"):
        assert step in done.stderr
    assert (out / "synthetic" / "manifest.json").exists()
    study = json.loads((out / "run" / "study" / "classify.json").read_text())
    assert study["images"]["synthetic"] == 64 and study["settings"]["seeds"] == 2
    assert "Data: digits, as asked for." in done.stderr


def test_without_fashion_mnist_it_takes_digits_and_says_why(tmp_path, monkeypatch):
    def no_network(name, **options):
        raise DataError("fashion-mnist cannot be fetched: no way to it works.")

    monkeypatch.setattr(demo_module, "fetch", no_network)
    source, note = demo_module._choose_data(None, lambda *given: None)
    assert source == "digits"
    assert note == (
        "Data: digits, because fashion-mnist could not be had: fashion-mnist cannot be fetched: no way to it works."
    )


def test_a_folder_with_something_else_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="is not empty and holds no demo: choose another --out"):
        demo(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_other_options_are_refused(tmp_path):
    with pytest.raises(DataError):
        demo(tmp_path / "out", DemoOptions(data=str(tmp_path / "nothing")))
    with pytest.raises(OutputError, match="with other options"):
        demo(tmp_path / "out", DemoOptions(data="digits"))


def test_device_and_precision_reach_every_part(run, tmp_path, monkeypatch):
    seen = {}

    def fake_train(source, folder, *, options, **given):
        seen["train"] = (options.device, options.precision)
        shutil.copytree(run.path, folder)
        return Outcome(Run.open(folder), "done", 512, None)

    def fake_study(of, options, **given):
        seen["study"] = (options.device, options.precision)
        return {"sentence": ""}

    def fake_report(of, out, *, device, precision, generated, **given):
        seen["report"] = (device, precision)
        seen["generated"] = generated
        return out

    monkeypatch.setattr(demo_module, "train", fake_train)
    monkeypatch.setattr(demo_module, "study_classify", fake_study)
    monkeypatch.setattr(demo_module, "write_report", fake_report)
    demo(tmp_path / "out", DemoOptions(data="digits", n=70, device="cpu", precision="bf16"))
    assert {seen[part] for part in ("train", "study", "report")} == {("cpu", "bf16")}
    manifest = json.loads((tmp_path / "out" / "synthetic" / "manifest.json").read_text())
    assert (manifest["device"], manifest["precision"]) == ("cpu", "bf16")
    generated = seen["generated"]
    assert (generated.device, generated.precision) == ("cpu", "bf16")
    assert (generated.threads, generated.torch) == (torch.get_num_threads(), torch.__version__)


@pytest.mark.parametrize("options", [{"device": "gpu"}, {"precision": "fp8"}])
def test_unknown_choices_are_refused(options):
    with pytest.raises(ValueError, match="must be one of"):
        DemoOptions(**options)
