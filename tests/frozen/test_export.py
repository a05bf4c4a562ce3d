"""Exported programs, run by others: ONNX Runtime, and torch in a process that has no fastgan."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from frozen_models import inputs, make, used
from torch import nn

import fastgan
from fastgan.errors import OutputError
from fastgan.frozen import export, exporting

NAMES = ["keras 28x28x1, ten classes", "keras 28x28x1", "dcgan 28x28x1, ten classes", "dcgan 64x64x3"]


@pytest.fixture(scope="module")
def onnxruntime(need):
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        need(str(error), "onnx")
    return onnxruntime


@pytest.mark.parametrize("output", ["float", "uint8"])
@pytest.mark.parametrize("name", NAMES)
def test_onnx_runtime_gives_the_images(name, output, onnxruntime, tmp_path):
    frozen = fastgan.freeze(make(name), output)
    done = export(frozen, tmp_path / "generator.onnx", "onnx")
    assert done.bytes == done.path.stat().st_size and done.max_difference <= (1 if output == "uint8" else 1e-5)
    session = onnxruntime.InferenceSession(done.path, providers=["CPUExecutionProvider"])
    names = ["z", "c"] if frozen.num_classes else ["z"]
    assert [each.name for each in session.get_inputs()] == names
    assert [each.name for each in session.get_outputs()] == ["images"]
    for count in (1, 7, 64):
        arguments = inputs(frozen, count)
        feed = dict(zip(names, (each.numpy() for each in arguments), strict=True))
        images = session.run(["images"], feed)[0]
        expected = frozen(*arguments).numpy()
        assert images.shape == expected.shape and images.dtype == expected.dtype
        difference = np.abs(images.astype(np.float64) - expected)
        assert difference.max() <= (1 if output == "uint8" else 1e-5)
        assert difference.mean() <= 1e-3


ALONE = """
import sys
sys.modules["fastgan"] = None
import torch
arguments, expected = torch.load(sys.argv[2])
program = torch.export.load(sys.argv[1])
namespaces = {str(n.target).split(".")[0] for n in program.graph.nodes if n.op == "call_function"}
assert namespaces <= {"aten", "<built-in function getitem>"}, namespaces
for count in (1, 7, 64):
    images = program.module()(*(each[:count] for each in arguments))
    assert images.dtype == expected.dtype
    print((images.double() - expected[:count].double()).abs().max().item())
"""


@pytest.mark.parametrize(("name", "output"), [(NAMES[0], "uint8"), (NAMES[3], "float")])
def test_torch_runs_it_without_fastgan(name, output, tmp_path):
    frozen = fastgan.freeze(make(name), output)
    done = export(frozen, tmp_path / "generator.pt2", "torch")
    torch.save((inputs(frozen, 64), frozen(*inputs(frozen, 64))), tmp_path / "expected.pt")
    command = [sys.executable, "-c", ALONE, str(done.path), str(tmp_path / "expected.pt")]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert all(float(line) <= (1 if output == "uint8" else 1e-5) for line in ran.stdout.split())


def test_somebody_elses_generator_keeps_its_input(tmp_path):
    layers = nn.ConvTranspose2d(6, 4, 4), nn.BatchNorm2d(4), nn.ReLU(), nn.ConvTranspose2d(4, 3, 4, 2, 1), nn.Tanh()
    model = used(nn.Sequential(*layers))
    done = export(fastgan.freeze(model), tmp_path / "generator.pt2", "torch")
    z = torch.randn(3, 6, 1, 1)
    assert torch.allclose(torch.export.load(done.path).module()(z), model(z), atol=1e-5)


@pytest.mark.parametrize("format", ["onnx", "torch"])
def test_a_program_that_gives_other_images_is_not_written(format, onnxruntime, tmp_path, monkeypatch):
    frozen, path = fastgan.freeze(make(NAMES[0])), tmp_path / "generator"
    other = exporting.stock_generator(fastgan.freeze(make(NAMES[0]).init_weights(9)))
    monkeypatch.setattr(exporting, "stock_generator", lambda frozen: other)
    with pytest.raises(OutputError, match="export: images of a batch of 1 differ by .*nothing was written"):
        export(frozen, path, format)
    assert not list(tmp_path.iterdir())


def test_a_file_is_replaced_only_when_asked(tmp_path):
    path = tmp_path / "generator.safetensors"
    path.write_text("somebody's")
    frozen = fastgan.freeze(make(NAMES[1]))
    with pytest.raises(OutputError, match="is there already; choose another --out, or replace it with --overwrite"):
        export(frozen, path)
    assert path.read_text() == "somebody's"
    export(frozen, path, overwrite=True)
    assert fastgan.frozen.load(path).plan == frozen.plan


def test_what_cannot_be_exported(tmp_path):
    frozen = fastgan.freeze(make(NAMES[1]), precision="bf16")
    with pytest.raises(ValueError, match="export: format must be one of fastgan, onnx, torch, got 'tflite'"):
        export(frozen, tmp_path / "generator", "tflite")
    with pytest.raises(ValueError, match="export: precision must be fp32 for format torch, got 'bf16'"):
        export(frozen, tmp_path / "generator", "torch")
