"""What the report says, and the front door: lazy names, and the example of the documentation."""

import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from fusion_models import DeviceTest, Spectral, make
from support.processes import run_python
from torch import nn

import fastgan
from fastgan import backends

ROOT = Path(__file__).resolve().parents[2]


def test_fields():
    model = fastgan.fuse_(DeviceTest())
    outer, inner = fastgan.report(model).containers
    assert (outer.path, outer.class_name, outer.kind, outer.fused) == ("", "DeviceTest", "forward", False)
    assert outer.reason.startswith("its forward cannot be traced: ") and outer.chains == ()
    assert (inner.path, inner.class_name, inner.kind, inner.fused) == ("main", "Sequential", "sequential", True)
    (chain,) = inner.chains
    assert chain.layers[0] == "main.0 ConvTranspose2d" and chain.layers[-1] == "main.7 Tanh" and len(chain.layers) == 8
    assert chain.ends == "the container ends" and inner.alone == () and inner.reason is None
    assert fastgan.report(model).fused == (inner,)


def test_the_table():
    lines = str(fastgan.report(fastgan.fuse_(Spectral()))).splitlines()
    assert lines[0] == "1 chain fused in 1 of 3 containers"
    assert [re.split(r"  +", line.strip())[0] for line in lines[1:]] == [
        "(the model) Spectral",
        "first Sequential",
        "alone",
        "alone",
        "second Sequential",
        "chain",
        "alone",
        "alone",
    ]
    assert any("forward pre hooks" in line for line in lines)
    assert all(len(line) < 160 for line in lines)


def test_before_and_after():
    model = DeviceTest()
    before = fastgan.report(model)
    assert [type(module) for module in model.modules()].count(nn.Sequential) == 1
    assert before.containers[1].reason == "fuse_ has not been called on it" and before.containers[1].chains
    assert not before.fused and str(before).startswith("0 chains fused in 0 of 2")
    fastgan.fuse_(model)
    assert len(fastgan.report(model).fused) == 1
    fastgan.unfuse_(model)
    assert fastgan.report(model) == before


def test_a_sequential_inside_a_sequential_is_told_once():
    model = nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), nn.Sequential(nn.ReLU(), nn.Conv2d(4, 2, 1))
    )
    report = fastgan.report(fastgan.fuse_(model))
    assert report.containers[0].chains[0].layers == ("0.0 Conv2d", "0.1 BatchNorm2d", "1.0 ReLU", "1.1 Conv2d")
    assert {each.reason for each in report.containers[1:]} == {"its layers run among those of the model"}
    assert len(report.fused) == 1
    model.register_forward_hook(lambda *_: None)  # around the row, not in it
    assert fastgan.report(model) == report
    model[0].register_forward_hook(lambda *_: None)
    report = fastgan.report(model)
    assert report.containers[1].chains[0].layers == ("0.0 Conv2d", "0.1 BatchNorm2d")


def test_a_forward_that_joins_no_two_layers_stays():
    model, _ = make("conditional")
    outer = fastgan.report(fastgan.fuse_(model)).containers[0]
    assert type(model).__mro__[1] is nn.Module and not outer.fused and not outer.chains
    assert outer.reason.startswith("its forward joins no two layers of a chain")


class Dropping(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return F.dropout(torch.relu(self.conv(x)), 0.5, self.training)


def test_three_deep_and_the_mode_a_model_is_in():
    model = nn.Sequential(nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3)), nn.ReLU()))
    reasons = [each.reason for each in fastgan.report(fastgan.fuse_(model)).containers]
    assert reasons == [None] + ["its layers run among those of the model"] * 2
    model = Dropping()  # traced in both modes
    for training in (True, False):
        fastgan.report(model.train(training))
        assert [module.training for module in model.modules()] == [training] * len(list(model.modules()))


def test_the_report_follows_the_model():
    model = fastgan.fuse_(DeviceTest())
    model.main[1].register_forward_hook(lambda *_: None)
    chains = fastgan.report(model).containers[1].chains
    assert [chain.layers[0] for chain in chains] == ["main.3 ConvTranspose2d"]


def test_it_says_when_torch_is_faster(monkeypatch):
    model, _ = make("critic")
    said = "no backend of ours is faster"
    assert said not in str(fastgan.report(fastgan.fuse_(model)))  # the definitions were forced
    monkeypatch.setattr(backends, "wanted", lambda *_: False)
    assert said in str(fastgan.report(model))


def test_importing_the_package_loads_no_torch():
    code = "import sys, fastgan; before = 'torch' in sys.modules; fastgan.fuse_; "
    code += "print(before, 'torch' in sys.modules, {'fuse_', 'unfuse_', 'report'} <= set(dir(fastgan)))"
    assert run_python(code).split() == ["False", "True", "True"]


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'fastgan' has no attribute 'fuse'"):
        _ = fastgan.fuse


def test_the_example_of_the_documentation_runs():
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "fuse.md").read_text(), re.DOTALL)
    assert "main" in run_python(code, FASTGAN_BACKEND="reference")
