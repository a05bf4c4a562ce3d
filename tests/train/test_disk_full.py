"""A real file system that fills up during training: one sentence, and the last checkpoint stays usable."""

import os
import subprocess
import sys

import pytest

from fastgan.run import Run

pytestmark = pytest.mark.slow


def fastgan(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "fastgan", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_a_full_disk_loses_nothing_that_was_written(small_disk):
    disk, resize = small_disk("1800k")
    run = disk / "run"
    options = [
        "--images",
        "256",
        "--snapshot-images",
        "64",
        "--batch",
        "32",
        "--width",
        "32",
        "--z-dim",
        "8",
        "--device",
        "cpu",
    ]
    done = fastgan("train", "digits", "--out", run, *options)
    assert done.returncode == 1, done.stderr
    assert done.stderr.strip().splitlines()[-1] == (
        f"fastgan: the disk is full; make room and continue with: fastgan train --resume {run}"
    )
    kept = Run.open(run).checkpoint("latest")
    assert 0 < kept.step < 8
    resize("64m")
    done = fastgan("train", "--resume", run)
    assert done.returncode == 0, done.stderr
    assert "256 images" in done.stdout
