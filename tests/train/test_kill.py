"""Real training processes killed at random moments end in the weights of an undisturbed one, bit for bit."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from fastgan.run import Run

pytestmark = pytest.mark.slow

OPTIONS = {
    **{"images": 3072, "snapshot-images": 512, "batch": 32, "width": 8, "z-dim": 8, "device": "cpu", "patience": 0},
    "real-per-class": 20,
}
ARGUMENTS = [text for name, value in OPTIONS.items() for text in (f"--{name}", str(value))]


def fastgan(*arguments: str) -> subprocess.Popen:
    # One thread, so that the machine's load cannot change how sums are split.
    return subprocess.Popen(
        [sys.executable, "-m", "fastgan", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def wait_for_snapshot(run: Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 60
    while not (run / "checkpoints" / "latest").exists() and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def weights(path: Path) -> dict[str, torch.Tensor]:
    checkpoint = Run.open(path).checkpoint("latest")
    return {f"{part}/{k}": v for part in checkpoint.state()["files"] for k, v in checkpoint.tensors(part).items()}


@pytest.fixture(scope="module")
def undisturbed_run(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("undisturbed") / "run"
    code, _, err = finish(fastgan("train", "digits", "--out", path, *ARGUMENTS))
    assert code == 0, err
    return path


@pytest.fixture(scope="module")
def undisturbed(undisturbed_run) -> dict[str, torch.Tensor]:
    return weights(undisturbed_run)


def test_killed_and_resumed(undisturbed, tmp_path):
    path, moments, kills = tmp_path / "run", random.Random(4), 0
    process = fastgan("train", "digits", "--out", path, *ARGUMENTS)
    wait_for_snapshot(path, process)
    for _ in range(3):
        time.sleep(moments.uniform(0.0, 0.6))
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
        before = Run.open(path).checkpoint("latest").step
        process = fastgan("train", "--resume", path)
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if Run.open(path).checkpoint("latest").step > before:
                break
            time.sleep(0.01)
    code, out, err = finish(process)
    assert code == 0, err
    assert kills >= 1
    assert "3,072 images" in out
    ended = weights(path)
    assert ended.keys() == undisturbed.keys()
    for name, value in undisturbed.items():
        assert torch.equal(value, ended[name]), name


def test_sigterm_writes_a_checkpoint_and_exits_0(undisturbed, tmp_path):
    path = tmp_path / "run"
    process = fastgan("train", "digits", "--out", path, *ARGUMENTS)
    wait_for_snapshot(path, process)
    process.terminate()
    code, out, err = finish(process)
    assert code == 0, err
    step = Run.open(path).checkpoint("latest").step
    assert f"{step * 32:,} images" in out
    assert f"fastgan train --resume {path}" in out
    code, _, err = finish(fastgan("train", "--resume", path))
    assert code == 0, err
    ended = weights(path)
    for name, value in undisturbed.items():
        assert torch.equal(value, ended[name]), name


def test_the_older_checkpoint_is_used_with_a_warning(undisturbed_run, undisturbed, tmp_path):
    path = tmp_path / "run"
    shutil.copytree(undisturbed_run, path, symlinks=True)
    newest = Run.open(path).checkpoint("latest").path / "discriminator.safetensors"
    newest.write_bytes(newest.read_bytes()[: newest.stat().st_size // 2])
    code, _, err = finish(fastgan("train", "--resume", path))
    assert code == 0, err
    assert "is damaged" in err
    assert "using" in err
    assert "Traceback" not in err
    for name, value in undisturbed.items():
        assert torch.equal(value, weights(path)[name]), name
    for checkpoint in Run.open(path).checkpoints():
        (checkpoint.path / "state.json").write_text("{")
    code, out, err = finish(fastgan("train", "--resume", path))
    assert (code, out) == (1, "")
    assert err.strip().splitlines()[-1].startswith("fastgan: no whole checkpoint is left")
