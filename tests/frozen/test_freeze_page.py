"""The example of docs/freeze.md runs as it stands; and freezing needs torch and numpy alone."""

import re
from pathlib import Path

import torch
from support.processes import run_python

PAGE = Path(__file__).parents[2] / "docs" / "freeze.md"


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names = {}
    exec(code, names)
    assert names["images"].shape == (8, 3, 64, 64) and names["pixels"].shape == (8, 64, 64, 3)
    assert torch.equal(names["again"](names["z"], names["c"]), names["images"])
    assert capsys.readouterr().out.startswith("Convolution(weight=0")


def test_freezing_needs_no_other_package():
    code = "import sys\n"
    for package in ("safetensors", "onnx", "onnxscript", "onnxruntime", "PIL", "rich", "typer", "scipy", "filelock"):
        code += f"sys.modules[{package!r}] = None\n"
    code += "import torch, fastgan\nmodel = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh())\n"
    code += "print(fastgan.freeze(model)(torch.zeros(2, 4)).shape[1])\n"
    assert run_python(code).strip() == "3"
