"""examples/c/generate.c, compiled as it says and run: its picture, its words, its exit codes."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from plans import python_images

from fastgan.models.pixels import to_uint8
from fastgan.noise import Stream, normal


def run(program: Path, *arguments: object) -> subprocess.CompletedProcess:
    words = [str(program), *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, timeout=60)


def picture(path: Path) -> np.ndarray:
    """uint8 [H, W, 3] of a binary .ppm."""
    magic, size, most, pixels = path.read_bytes().split(b"\n", 3)
    width, height = map(int, size.split())
    assert (magic, most) == (b"P6", b"255")
    return np.frombuffer(pixels, np.uint8).reshape(height, width, 3)


def right_picture(frozen, seed: int, count: int, columns: int) -> np.ndarray:
    """The grid that Python's frozen generator gives."""
    z = torch.from_numpy(normal(seed, Stream.LATENT, 0, count, frozen.z_dim))
    labels = (torch.arange(count) % frozen.num_classes,) if frozen.num_classes else ()
    floats = torch.from_numpy(python_images(frozen, (z.view(count, *frozen.plan.input_shape), *labels)))
    images = to_uint8(floats.movedim(-1, 1)).numpy()
    images = images.repeat(3, -1) if images.shape[-1] == 1 else images[..., :3]
    height, width = images.shape[1:3]
    rows = -(-count // columns)
    grid = np.zeros((rows * columns, height, width, 3), np.uint8)
    grid[:count] = images
    return grid.reshape(rows, columns, height, width, 3).swapaxes(1, 2).reshape(rows * height, columns * width, 3)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    ("name", "seed", "count", "columns"),
    [
        ("keras 64x64x3, ten classes", 2**64 - 1, 7, 3),
        ("keras 28x28x1", 0, 300, 18),  # more than one part
        ("keras 40x64x4, one class", 5, 1, 1),
    ],
    ids=["RGB with classes", "grey", "RGBA"],
)
def test_the_picture_has_the_bytes_of_python(name, seed, count, columns, threads, plan, example, capability, tmp_path):
    frozen, path = plan(name)
    out = tmp_path / "grid.ppm"
    done = run(example, path, seed, count, out, "--threads", threads, "--capability", capability)
    assert done.returncode == 0, done.stderr
    assert np.array_equal(picture(out), right_picture(frozen, seed, count, columns))
    size = f"{frozen.size[0]}x{frozen.size[1]}x{frozen.channels}"
    assert done.stdout == (
        f"{out}: {count} images of {size}, seed {seed}, {frozen.num_classes} classes, {threads} threads, {capability}\n"
    )
    assert done.stderr.endswith(f"generate: {count} of {count} images\n")


def test_repeating_measures(plan, example, tmp_path):
    done = run(example, plan("keras 28x28x1")[1], 0, 5, tmp_path / "grid.ppm", "--repeat", 3)
    speeds = [line.split()[0] for line in done.stdout.splitlines()[:-1]]
    assert done.returncode == 0 and len(speeds) == 3 and all(float(speed) > 0 for speed in speeds)


def test_help(example):
    done = run(example, "--help")
    assert done.returncode == 0 and done.stdout.startswith("usage: generate PLAN SEED COUNT PICTURE")


@pytest.mark.parametrize(
    ("change", "code", "sentence"),
    [
        ({"plan": "/nonexistent"}, 1, "/nonexistent does not exist; `fastgan export` writes one"),
        ({"plan": __file__}, 1, "cannot be read as a frozen generator (its header would be of"),
        ({"plan": None}, 1, "makes images of 9 channels; a .ppm shows 1, 3 or 4"),
        ({"picture": "/nonexistent/grid.ppm"}, 1, "/nonexistent/grid.ppm cannot be written (No such file"),
        ({"seed": "-1"}, 2, "SEED must be a whole number below 2^64, got '-1'"),
        ({"seed": str(2**64)}, 2, "SEED must be a whole number below 2^64"),
        ({"count": "0"}, 2, "COUNT must be from 1 to 65536, got '0'"),
        ({"count": "7x"}, 2, "COUNT must be from 1 to 65536, got '7x'"),
        ({"options": ["--threads", "0"]}, 2, "--threads must be from 1 to 1024, got '0'"),
        ({"options": ["--threads"]}, 2, "--threads must be from 1 to 1024, got ''"),
        ({"options": ["--repeat", "-3"]}, 2, "--repeat must be from 1 to 1000000, got '-3'"),
        ({"options": ["--capability", "mmx"]}, 2, "default on this machine, got 'mmx'"),
        ({"options": ["--colour"]}, 2, "there is no option '--colour'\nusage:"),
        ({"options": ["more"]}, 2, "'more' is one argument too many\nusage:"),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_what_goes_wrong(change, code, sentence, plan, example, tmp_path):
    good = {"plan": plan("keras 8x8x3, three classes")[1], "seed": "0", "count": "3", "picture": tmp_path / "out.ppm"}
    if change.get("plan", "") is None:
        change = {"plan": plan("vectors")[1]}
    values = good | change
    done = run(example, *(values[name] for name in good), *values.get("options", []))
    assert (done.returncode, done.stdout) == (code, "")
    assert "generate: " in done.stderr and sentence in done.stderr
    assert not (tmp_path / "out.ppm").exists()


def test_a_full_disk(plan, example, tmp_path):
    full = tmp_path / "full"
    full.symlink_to("/dev/full")  # what takes nothing, and must not be removed
    done = run(example, plan("keras 28x28x1")[1], 0, 9, full)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{full} cannot be written (No space left on device)" in done.stderr
    assert full.is_symlink()


def test_too_few_arguments(example):
    done = run(example, "plan", 0, 3)
    assert done.returncode == 2 and "an argument is missing\nusage:" in done.stderr
