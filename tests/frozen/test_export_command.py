"""`fastgan export`: files, results, exit codes, and the sentence where packages are missing."""

import json
import subprocess
import sys

import pytest
import torch

import fastgan
from fastgan.cli.app import run as command
from fastgan.frozen import load
from fastgan.models import Discriminator, Generator
from fastgan.run import create_run, write_checkpoint


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder: three classes, RGB, 8x8."""
    path = tmp_path_factory.mktemp("runs") / "small"
    model = {"size": [8, 8], "channels": 3, "width": 8, "num_classes": 3, "preset": "keras"}
    config = {"generator": {**model, "z_dim": 6}, "discriminator": model}
    run = create_run(path, {"data": {"name": "test", "classes": ["a", "b", "c"]}, "model": config, "train": {}})
    generator = Generator(**config["generator"]).init_weights(1)
    with torch.no_grad():
        generator.main.to_image.weight.mul_(200)
    state = generator.state_dict()
    parts = {"generator": state, "ema": state, "discriminator": Discriminator(**model).state_dict()}
    write_checkpoint(run.checkpoint_folder, 1, {**parts, "optim": {"step": torch.zeros(1)}}, {"images": 64})
    return run


def test_the_default_is_a_file_that_fastgan_loads(run, capsys):
    assert command(["export", str(run.path)]) == 0
    path = run.path / "export" / "generator.safetensors"
    assert capsys.readouterr().out == f"{path} ({path.stat().st_size / 1e6:.1f} MB)\n"
    frozen = fastgan.freeze(run.load_generator())
    z, c = torch.randn(5, 6), torch.tensor([0, 1, 2, 1, 0])
    assert torch.equal(load(path)(z, c), frozen(z, c))
    capsys.readouterr()

    assert command(["export", str(run.path)]) == 1
    assert capsys.readouterr().err == (
        f"fastgan: {path} is there already; choose another --out, or replace it with --overwrite\n"
    )
    assert command(["export", str(run.path), "--overwrite", "--output", "uint8"]) == 0
    assert load(path).output == "uint8"


@pytest.mark.parametrize(("format", "suffix"), [("onnx", ".onnx"), ("torch", ".pt2"), ("fastgan", ".safetensors")])
def test_every_format_says_what_it_wrote(run, tmp_path, capsys, need, format, suffix):
    if format == "onnx":
        try:
            import onnxruntime  # noqa: F401
        except ImportError as error:
            need(str(error), "onnx")
    out = tmp_path / f"new/model{suffix}"
    arguments = ["export", str(run.path), "--format", format, "--out", str(out), "--output", "uint8", "--json"]
    assert command(arguments) == 0
    said = capsys.readouterr()
    result = json.loads(said.out)
    assert result.pop("max_difference") <= 1
    assert result == {"path": str(out), "format": format, "output": "uint8", "bytes": out.stat().st_size}
    assert said.err == "" and [each.name for each in out.parent.iterdir()] == [out.name]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nowhere"], 1, "run folder nowhere does not exist"),
        (["RUN", "--format", "tflite"], 2, "'tflite' is not one of 'fastgan', 'onnx', 'torch'"),
        (["RUN", "--output", "png"], 2, "'png' is not one of 'float', 'uint8'"),
        (["RUN", "--out", "/"], 1, "/ is there already"),
    ],
)
def test_mistakes(run, capsys, arguments, code, sentence):
    assert command(["export", *(str(run.path) if each == "RUN" else each for each in arguments)]) == code
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and sentence in said.err


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_named(run, tmp_path, package):
    code = f"import sys\nsys.modules[{package!r}] = None\nfrom fastgan.cli import main\nmain()"
    arguments = ["export", str(run.path), "--format", "onnx", "--out", str(tmp_path / "model.onnx")]
    ran = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert ran.returncode == 1 and ran.stdout == ""
    assert f"needs the package {package!r}; in a clone of fastgan: pip install '.[export]'" in ran.stderr
    assert ran.stderr.count("\n") == 1 and not list(tmp_path.iterdir())
