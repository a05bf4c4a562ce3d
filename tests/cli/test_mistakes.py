"""Mistakes on the command line: one sentence on stderr, nothing on stdout, exit 2 for usage and 1 for the rest."""

import contextlib
import io
import os
import shutil
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastgan.cli.app import run as run_command
from fastgan.train import TrainOptions, train

pytestmark = pytest.mark.slow


def fastgan(*arguments) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command, run in this process: a second of imports for all of them."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
        code = run_command([str(each) for each in arguments])
    return code, out.getvalue(), err.getvalue()


def refused(code: int, sentence: str, *arguments) -> None:
    """The command ends with `code`, prints nothing on stdout, and its last line holds `sentence`."""
    got, out, err = fastgan(*arguments)
    last = err.strip().splitlines()[-1]
    assert (got, out) == (code, ""), err
    assert last.startswith("fastgan: ")
    assert sentence in last
    assert "Traceback" not in err


def write_images(folder: Path, count: int, suffix: str = ".png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        pixels = np.random.default_rng(i).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}{suffix}")


def huge_png(path: Path, side: int) -> None:
    """A PNG of side x side grey pixels that takes a few kilobytes on disk."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((side // 8 + 2) * 64))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    options = TrainOptions(images=128, snapshot_images=64, batch=32, width=8, z_dim=8, device="cpu", kid_images=20)
    return train("digits", tmp_path_factory.mktemp("run") / "run", options=options).run.path


def test_the_process_ends_with_the_code_and_the_sentence():
    done = subprocess.run(
        [sys.executable, "-m", "fastgan", "trian"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "No such command 'trian'" in done.stderr
    assert "Traceback" not in done.stderr


def test_usage(tmp_path):
    refused(2, "No such option", "train", "digits", "--budget", 3)
    refused(2, "No such command", "trian")
    refused(2, "give DATA to start", "train")
    refused(2, "--size belongs to a new training", "train", "--resume", tmp_path, "--size", "8x8")
    refused(2, "--size must be HxW", "train", "digits", "--size", "big")
    refused(2, "is not one of", "train", "digits", "--loss", "bce")
    refused(2, "Missing", "generate", tmp_path)


def test_folders_without_images(tmp_path):
    refused(1, "does not exist", "train", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    refused(1, "empty", "train", tmp_path / "empty")


@pytest.mark.parametrize("kind", ["text", "huge", "truncated"])
def test_a_folder_whose_only_images_are_broken(tmp_path, kind):
    folder = tmp_path / "images"
    write_images(folder, 1, ".jpg")
    file = folder / "0.jpg"
    if kind == "text":
        file = file.rename(folder / "0.png")
        file.write_text("not an image")
    elif kind == "huge":
        file.unlink()
        huge_png(folder / "0.png", 30_000)
    else:
        file.write_bytes(file.read_bytes()[:-200])
    out = tmp_path / "run"
    refused(1, "0.", "train", folder, "--out", out)
    assert not out.exists()


def test_broken_images_among_good_ones_are_named_and_counted(tmp_path):
    write_images(tmp_path / "images", 40)
    (tmp_path / "images" / "broken.png").write_text("not an image")
    huge_png(tmp_path / "images" / "huge.png", 30_000)
    code, out, err = fastgan(
        "train", tmp_path / "images", "--out", tmp_path / "run", "--images", 64, "--batch", 32, "--width", 8
    )
    assert code == 0, err
    assert "2 files skipped" in err
    assert "broken.png" in err
    assert "64 images" in out


def test_transparency_in_a_jpg_is_flattened(tmp_path):
    folder = tmp_path / "images"
    write_images(folder, 24)
    Image.new("RGBA", (16, 16), (255, 0, 0, 0)).save(folder / "really_a.png")
    (folder / "really_a.png").rename(folder / "transparent.jpg")
    code, _, err = fastgan("train", folder, "--out", tmp_path / "run", "--images", 64, "--batch", 32, "--width", 8)
    assert code == 0, err
    assert "skipped" not in err


def test_out_of_memory(tmp_path):
    refused(1, "out of memory", "train", "digits", "--width", 10**8, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_impossible_size_names_the_nearest(tmp_path):
    refused(1, "the nearest such size is 32x32", "train", "digits", "--size", "30x30", "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_runs_that_cannot_be_used(tmp_path, run):
    refused(1, "does not exist", "generate", tmp_path / "nowhere", "--n", 10)
    refused(1, "has no config.json", "generate", tmp_path, "--n", 10)
    young = tmp_path / "young"
    young.mkdir()
    shutil.copy(run / "config.json", young)
    refused(1, "has no checkpoint yet", "generate", young, "--n", 10, "--out", tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_a_checkpoint_cut_in_half(tmp_path, run):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    newest, older = sorted((copy / "checkpoints").glob("0*"), reverse=True)
    (copy / "checkpoints" / "best").write_text(newest.name)
    ema = newest / "ema.safetensors"
    ema.write_bytes(ema.read_bytes()[: ema.stat().st_size // 2])
    code, _, err = fastgan("generate", copy, "--n", 64, "--out", tmp_path / "set")
    assert code == 0, err
    assert f"{newest.name} is damaged" in err
    assert f"using {older.name}" in err
    (older / "state.json").unlink()
    refused(1, "no whole checkpoint is left", "generate", copy, "--n", 64, "--out", tmp_path / "other")


def test_output_of_another_job(tmp_path, run):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "letter.txt").write_text("mine")
    refused(1, "not empty", "generate", run, "--n", 64, "--out", tmp_path / "set")
    refused(1, "not empty", "train", "digits", "--out", tmp_path / "set")
    assert (tmp_path / "set" / "letter.txt").read_text() == "mine"


def test_every_help_ends_with_a_line_that_works():
    code, out, _ = fastgan("--help")
    assert code == 0
    for command in ("info", "data", "demo", "train", "generate", "study", "report", "verify"):
        assert command in out


def test_a_wrong_choice_lists_the_right_ones():
    refused(
        2,
        "Invalid value for '--format': 'tiff' is not one of 'fastgan', 'onnx', 'torch'",
        "export",
        "R",
        "--format",
        "tiff",
    )
    refused(2, "SUITE must be one of quick, generator, train-step", "bench", "speed")
