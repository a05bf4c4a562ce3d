"""What is left alone, why the report says so, and that it gives what it gave before."""

import contextlib
import copy
import random
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fusion_models import Critic, Spectral, make
from torch import nn
from torch.utils.checkpoint import checkpoint

import fastgan
from fastgan import backends
from fastgan.models import Generator


def layers(*more, slope=0.2):
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.LeakyReLU(slope), *more)


def reasons(model):
    """layer or container -> why it is not part of a chain."""
    found = {}
    for container in fastgan.report(model).containers:
        if container.reason is not None:
            found[container.path] = container.reason
        found.update({alone.layer: alone.reason for alone in container.alone})
    return found


ALONE = {
    "SyncBatchNorm": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.SyncBatchNorm(4)),
        "1 SyncBatchNorm",
        "all processes",
    ),
    "slope": (lambda: layers(slope=-0.5), "1 LeakyReLU", "negative_slope -0.5 is outside"),
    "steep": (lambda: layers(slope=1.5), "1 LeakyReLU", "negative_slope 1.5 is outside"),
    "old spectral norm": (lambda: Spectral().first, "0 Conv2d", "forward pre hooks"),
    "groups": (lambda: nn.Sequential(nn.Conv2d(4, 4, 3, groups=2), nn.ReLU()), "0 Conv2d", "2 groups"),
    "dilation": (lambda: nn.Sequential(nn.Conv2d(4, 4, 3, dilation=2), nn.ReLU()), "0 Conv2d", "dilated"),
    "reflect": (lambda: nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")), "0 Conv2d", "reflect"),
    "norm first": (lambda: layers(nn.BatchNorm2d(4)), "2 BatchNorm2d", "no convolution in front"),
    "last conv": (lambda: layers(nn.Flatten(), nn.Conv2d(4, 4, 1)), "3 Conv2d", "nothing after it"),
    "linear": (lambda: layers(nn.Linear(4, 4)), "2 Linear", "Linear is not a convolution"),
}


@pytest.mark.parametrize("case", ALONE)
def test_a_layer_is_left_alone(case):
    build, name, reason = ALONE[case]
    model = build()
    fastgan.fuse_(model)
    assert reason in reasons(model)[name]


def test_nothing_to_fuse():
    for model in (
        nn.Linear(2, 2),
        nn.Sequential(),
        nn.Sequential(nn.Linear(2, 2), nn.ReLU()),
        nn.ModuleList(),
        nn.ReLU(),
    ):
        kinds = [type(module) for module in model.modules()]
        assert fastgan.fuse_(model) is model and [type(module) for module in model.modules()] == kinds
        report = fastgan.report(model)
        assert str(report).startswith("nothing to fuse") and not report.fused


@pytest.mark.parametrize("wrong", [None, "model", torch.zeros(3), nn.Conv2d])
def test_no_module(wrong):
    for function in (fastgan.fuse_, fastgan.unfuse_, fastgan.report):
        with pytest.raises(TypeError, match=rf"{function.__name__}: model must be a torch.nn.Module, got \w+$"):
            function(wrong)


def test_a_module_that_is_called_twice():
    conv, act = nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(True)
    model = nn.Sequential(conv, act, nn.Conv2d(4, 4, 3), act, conv)
    plain, x = copy.deepcopy(model), torch.randn(2, 4, 8, 8)
    why = reasons(fastgan.fuse_(model))
    assert why["0 Conv2d"] == why["4 Conv2d"] == "it is called more than once"
    assert fastgan.report(model).containers[0].chains[0].layers == ("2 Conv2d", "3 ReLU")  # an activation may be
    torch.testing.assert_close(model(x), plain(x))


def test_a_result_that_two_read():
    model, (x,) = make("functional")
    report = fastgan.report(fastgan.fuse_(model))
    assert {chain.ends for chain in report.containers[0].chains} == {
        "mul_1 reads it",
        "cat reads it",
        "forward returns it",
    }
    assert reasons(model)["down1 Conv2d"] == "there is nothing after it that a chain could take in"


class Forward(nn.Module):
    """A convolution, batch norm and activation around what a test puts into `step`."""

    def __init__(self, step):
        super().__init__()
        self.conv, self.norm, self.out = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1)
        self.register_buffer("buffer", torch.ones(4, 1, 1))
        self.calls, self.seen, self.noise = 0, [], torch.ones(4, 1, 1)
        self.settings = object()
        type(self).step = staticmethod(step)

    def forward(self, x):
        x = F.relu(self.norm(self.conv(x)))
        return self.out(self.step(self, x))


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        return -gradient


def counts(self, x):
    self.calls += 1
    return x


def remembers(self, x):
    self.last = x
    return x


def collects(self, x):
    self.seen.append(x)
    return x


def without_gradients(self, x):
    with torch.no_grad():
        x = x + 1
    return x


def in_half(self, x):
    with torch.autocast("cpu", torch.bfloat16):
        x = x + 1
    return x


def in_single(self, x):
    with torch.autocast("cpu", enabled=False):
        x = x + 1
    return x


def sets_an_item(self, x):
    x[:, 0] = 0
    return x


def takes_a_private_path(self, x):
    extra = nn.Conv2d(4, 4, 1)
    return extra(x)


def tries(self, x):
    with contextlib.suppress(Exception):
        return x * float(x.mean())
    return x


def swaps_halves(self, x):
    first, second = x.chunk(2, dim=1)
    return torch.cat([second, first], 1)


UNTRACEABLE = {
    "device": (lambda self, x: x if x.is_cuda else x + 1, "decides by a value"),
    "shape": (lambda self, x: x if x.shape[0] > 2 else x + 1, "decides by a value"),
    "length": (lambda self, x: x[: len(x)], "a Python number"),
    "loop": (lambda self, x: torch.stack([each + 1 for each in x]), "one by one"),
    "type": (lambda self, x: x + 1 if isinstance(x, torch.Tensor) else x, "type of a value"),
    "is_tensor": (lambda self, x: x + 1 if torch.is_tensor(x) else x, "type of a value"),
    "numpy": (lambda self, x: x + torch.from_numpy(x.detach().numpy()), ""),
    "gradient reversal": (lambda self, x: Reverse.apply(x), "autograd.Function"),
    "checkpoint": (lambda self, x: checkpoint(torch.sin, x, use_reentrant=False), "a checkpoint"),
    "no_grad": (without_gradients, "gradients or autocast"),
    "autocast": (in_half, "gradients or autocast"),
    "autocast off": (in_single, "gradients or autocast"),
    "torch's random numbers": (lambda self, x: x * torch.rand(1).item(), "random numbers"),
    "Python's random numbers": (lambda self, x: x * random.random(), "random numbers"),
    "numpy's random numbers": (lambda self, x: x * np.random.rand(), "random numbers"),
    "new tensor": (lambda self, x: x + torch.ones(4, 1, 1), "a tensor that does not come from its arguments"),
    "print": (lambda self, x: sys.stdout.write("here") and x, "it prints"),
    "counter": (counts, "changes self.calls"),
    "memory": (remembers, "changes self.last"),
    "list": (collects, "changes self.seen"),
    "settings": (lambda self, x: x + 1 if self.settings is None else x, "self.settings, a object"),
    "attribute of a value": (lambda self, x: setattr(x, "tag", 1) or x, "sets tag"),
    "item": (sets_an_item, ""),
    "foreign module": (takes_a_private_path, ""),
    "value": (tries, "a Python number"),
}


@pytest.mark.parametrize("case", UNTRACEABLE)
def test_a_forward_that_a_trace_would_change(case):
    step, reason = UNTRACEABLE[case]
    model, x = Forward(step), torch.randn(3, 3, 6, 6)
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    plain = copy.deepcopy(model)
    before, drawn = dict(vars(model)), (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy())
    fastgan.fuse_(model)
    assert type(model) is Forward and vars(model) == before and model.seen == []
    assert torch.equal(torch.get_rng_state(), drawn[0]) and random.getstate() == drawn[1]
    assert np.array_equal(np.random.get_state()[1], drawn[2])
    assert nn.Module.__getattribute__ is object.__getattribute__
    said = fastgan.report(model).containers[0].reason
    assert said.startswith("its forward cannot be traced: ") and reason in said and "\n" not in said
    outputs = []
    for each in (plain, model):
        random.seed(0), np.random.seed(0), torch.manual_seed(0)
        outputs.append(each(x))
    assert torch.equal(*outputs)


TRACEABLE = {
    "buffer": lambda self, x: x * self.buffer,
    "plain tensor": lambda self, x: x * self.noise,
    "product of plain tensors": lambda self, x: x * (self.noise + self.buffer),
    "noise like it": lambda self, x: x + torch.randn_like(x),
    "shapes": lambda self, x: x.view(x.size(0), -1).view(x.shape),
    "in place": lambda self, x: F.relu_(x.add_(-0.5)),
    "unpacking": swaps_halves,
    "keyword": lambda self, x: self.conv_like(input=x) if hasattr(self, "conv_like") else F.relu(input=x),
    "slices": lambda self, x: x[:, :, 1:-1, ::2].tanh(),
    "slices of a size": lambda self, x: x[..., : x.size(2) // 2],
}


@pytest.mark.parametrize("case", TRACEABLE)
def test_a_forward_that_a_trace_keeps(case):
    torch.manual_seed(0)
    plain, x = Forward(TRACEABLE[case]).double(), torch.randn(3, 3, 6, 6).double()
    plain.settings, plain.noise = None, torch.rand(4, 1, 1).double()
    model = fastgan.fuse_(copy.deepcopy(plain))
    assert type(model) is not Forward
    for value in (1.0, 3.0):
        outputs = []
        for each in (plain, model):
            each.noise, each.buffer = each.noise * value, each.buffer * value
            torch.manual_seed(1)
            with backends.record() as runs:
                outputs.append(each(x))
        assert runs
        torch.testing.assert_close(*outputs, rtol=1e-10, atol=1e-12)


def test_a_method_that_is_patched_is_not_the_one_that_was_traced():
    plain, x = Forward(lambda self, x: x + 1), torch.randn(3, 3, 6, 6)
    fused = fastgan.fuse_(copy.deepcopy(plain))
    assert type(fused) is not Forward
    torch.testing.assert_close(fused(x), plain(x))
    Forward.step = staticmethod(lambda self, x: 5 * x)
    torch.testing.assert_close(fused(x), plain(x))
    plain.step = fused.step = lambda self, x: 7 * x
    torch.testing.assert_close(fused(x), plain(x))


def test_an_in_place_sum_is_seen_by_who_holds_the_same_tensor():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.other = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x):
            held = x = torch.relu(self.conv(x))
            x += 1
            x = torch.tanh(self.other(x))
            return x + held

    plain = Residual()
    fused, x = fastgan.fuse_(copy.deepcopy(plain)), torch.randn(2, 3, 5, 5)
    assert type(fused) is not Residual
    torch.testing.assert_close(fused(x), plain(x))


@pytest.mark.parametrize("slope", [-0.5, 2.0])
def test_a_functional_slope_outside_of_what_chains_know(slope):
    class Steep(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

        def forward(self, x):
            return F.leaky_relu(self.norm(self.conv(x)), slope)

    plain = Steep()
    fused, x = fastgan.fuse_(copy.deepcopy(plain)), torch.randn(2, 3, 5, 5)
    torch.testing.assert_close(fused(x), plain(x))
    assert "outside [0, 1]" in reasons(fused)["leaky_relu"]


def test_closed_modules():
    script = torch.jit.script(layers())
    graph = torch.fx.symbolic_trace(Critic())
    ours = Generator((8, 8), z_dim=4, width=4)
    model = nn.ModuleDict({"script": script, "graph": graph, "ours": ours})
    kinds = [type(module) for module in model.modules()]
    fastgan.fuse_(model)
    assert [type(module) for module in model.modules()] == kinds
    why = reasons(model)
    assert (
        why["script"] == "it is TorchScript" and "generated" in why["graph"] and why["ours"] == "it runs its own chains"
    )


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.gain = nn.Conv2d(3, 4, 3), nn.Parameter(torch.ones(1))

    def forward(self, x):
        return torch.relu(self.conv(x)) * self.gain


def test_a_container_whose_own_tensors_are_parametrised():
    plain, x = Scaled(), torch.randn(1, 3, 5, 5)
    fused, before = fastgan.fuse_(copy.deepcopy(plain)), copy.deepcopy(plain)
    for model in (plain, fused, before):
        nn.utils.parametrize.register_parametrization(model, "gain", nn.Softplus())
    torch.testing.assert_close(fused(x), plain(x))
    with pytest.raises(ValueError, match="unfuse_: model must hold containers as fuse_ left them, got Parametrized"):
        fastgan.unfuse_(fused)
    nn.utils.parametrize.remove_parametrizations(fused, "gain")
    assert type(fastgan.unfuse_(fused)) is Scaled
    assert "parametrised" in reasons(fastgan.fuse_(before))[""]


def test_values_that_are_no_tensors():
    class Both(nn.Module):
        def forward(self, x):
            return x, x

    class Sum(nn.Module):
        def forward(self, pair):
            return pair[0] + pair[1]

    plain = nn.Sequential(nn.Conv2d(3, 3, 3), nn.ReLU(), Both(), Sum(), nn.Conv2d(3, 3, 3), nn.Tanh())
    fused, x = fastgan.fuse_(copy.deepcopy(plain)), torch.randn(1, 3, 8, 8)
    torch.testing.assert_close(fused(x), plain(x))
    fused[3] = nn.Identity()
    with pytest.raises(TypeError, match="invalid combination of arguments"):  # torch's own words
        fused(x)


def test_subclasses_with_a_forward_of_their_own_are_no_sequence():
    class Doubled(nn.Sequential):
        def forward(self, x):
            return 2 * super().forward(x)

    class Backwards(nn.Sequential):
        def __iter__(self):
            return iter(list(super().__iter__())[::-1])

    for kind in (Doubled, Backwards):
        plain = kind(nn.Conv2d(3, 3, 3), nn.LeakyReLU(0.1), nn.Conv2d(3, 3, 3), nn.Tanh())
        fused, x = fastgan.fuse_(copy.deepcopy(plain)), torch.randn(1, 3, 8, 8)
        torch.testing.assert_close(fused(x), plain(x))
