"""What changes after `fuse_` counts at the next call: flags, hooks, parametrisations, other children, attributes."""

import copy

import pytest
import torch
import torch.nn.functional as F
from fusion_models import Flags, call, make
from torch import nn

import fastgan
from fastgan import backends

# Each works on the model, plain or fused; the layers are those of `Chain` below, a Sequential and a traced module.


class Chain(nn.Module):
    """The same three layers twice: in a Sequential, and in a forward."""

    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.LeakyReLU(0.2), nn.Conv2d(4, 4, 3))
        self.norm, self.act, self.last = nn.BatchNorm2d(4), nn.LeakyReLU(0.2), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        return self.last(self.act(self.norm(self.main(x))))


def freeze_one_batch_norm(model):
    model.main[1].eval()
    model.norm.eval()


def plain_averages(model):
    model.main[1].momentum = model.norm.momentum = None


def other_numbers(model):
    model.main[1].eps = model.norm.eps = 0.5
    model.main[2].negative_slope = model.act.negative_slope = 0.7
    model.last.stride = (2, 2)
    model.last.padding = (1, 1)


def slope_out_of_range(model):
    model.main[2].negative_slope = -0.5
    model.act.negative_slope = 1.5


def no_running_statistics(model):
    for norm in (model.main[1], model.norm):
        norm.track_running_stats = False
        norm.running_mean = norm.running_var = None


def scale_by_hooks(model):
    for module in (model.main[0], model.main[2], model.norm, model.act):
        module.register_forward_hook(lambda module, inputs, output: output * 1.5)
    model.last.register_forward_pre_hook(lambda module, inputs: (inputs[0] + 1,))


def hook_the_containers(model):
    model.main.register_forward_hook(lambda module, inputs, output: output + 1)
    model.register_forward_pre_hook(lambda module, inputs: (inputs[0] * 2,))
    model.register_forward_hook(lambda module, inputs, output: output - 1)


def new_spectral_norm(model):
    torch.manual_seed(7)
    nn.utils.parametrizations.spectral_norm(model.main[0])  # reading the weight takes a step of its iteration
    nn.utils.parametrizations.spectral_norm(model.main[3])
    with torch.no_grad():
        model.main[0].parametrizations.weight.original.mul_(torch.rand(4, 1, 1, 1) + 0.1)
    nn.utils.parametrizations.weight_norm(model.last)


def old_spectral_norm(model):
    torch.manual_seed(7)
    nn.utils.spectral_norm(model.main[3])
    nn.utils.spectral_norm(model.last)


def other_children(model):
    torch.manual_seed(7)
    model.main[2] = nn.Softplus()
    model.act = nn.Tanh()
    model.last = nn.Conv2d(4, 5, 3, groups=1, dilation=2)


def one_child_twice(model):
    model.main[3] = model.main[0]
    model.main[0] = nn.Identity()
    model.main[1] = nn.BatchNorm2d(3)
    model.main.append(nn.BatchNorm2d(4))
    model.norm = model.main[4]


def groups(model):
    torch.manual_seed(7)
    model.last = nn.Conv2d(4, 4, 1, groups=2)


def replaced_forward(model):
    act = model.act
    model.act.forward = lambda x: F.leaky_relu(x, act.negative_slope) * 3
    model.main[2].forward = lambda x: -x


def replaced_forward_of_a_container(model):
    main = model.main
    main.forward = lambda x: main[3](main[0](x))


def in_place(model):
    model.main[2].inplace = model.act.inplace = True


CHANGES = [
    freeze_one_batch_norm,
    plain_averages,
    other_numbers,
    slope_out_of_range,
    no_running_statistics,
    scale_by_hooks,
    hook_the_containers,
    new_spectral_norm,
    old_spectral_norm,
    other_children,
    one_child_twice,
    groups,
    replaced_forward,
    replaced_forward_of_a_container,
    in_place,
]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_change_counts(change, when):
    torch.manual_seed(0)
    plain = Chain().double()
    fused, x = copy.deepcopy(plain), torch.randn(4, 3, 9, 9).double()
    if when == "after":
        fastgan.fuse_(fused)
        fused(x), plain(x)
    for model in (plain, fused):
        change(model)
        model.double()
    if when == "before":
        fastgan.fuse_(fused)
    for _ in range(2):
        torch.testing.assert_close(fused(x), plain(x), rtol=1e-10, atol=1e-12)
    expected, got = dict(plain.named_buffers()), dict(fused.named_buffers())
    assert got.keys() == expected.keys()
    for name, buffer in expected.items():
        torch.testing.assert_close(got[name], buffer, rtol=1e-10, atol=1e-12, msg=name)
    plain.eval(), fused.eval()
    torch.testing.assert_close(fused(x), plain(x), rtol=1e-10, atol=1e-12)


def test_without_changes_it_runs_fused(monkeypatch):
    fused = fastgan.fuse_(Chain())
    monkeypatch.setattr(F, "batch_norm", None)  # would be called on a stored map
    with backends.record() as runs:
        fused(torch.randn(4, 3, 9, 9))
    # One chain through both containers: only its end is stored.
    assert [run.op for run in runs] == ["affine_act_conv2d"] * 3


def test_hooks_see_what_they_see_in_torch():
    seen = {}
    for kind in ("plain", "fused"):
        torch.manual_seed(0)
        model = Chain()
        if kind == "fused":
            fastgan.fuse_(model)
        seen[kind] = []
        for name, module in model.named_modules():
            module.register_forward_hook(
                lambda module, inputs, output, name=name, kind=kind: seen[kind].append((name, output.detach().clone()))
            )
        model(torch.randn(2, 3, 9, 9))
    for (name, one), (name_fused, other) in zip(seen["plain"], seen["fused"], strict=True):
        assert name == name_fused
        torch.testing.assert_close(other, one)


def test_hooks_on_all_modules():
    calls = []
    plain = Chain()
    fused, x = fastgan.fuse_(copy.deepcopy(plain)), torch.randn(2, 3, 9, 9)
    handle = nn.modules.module.register_module_forward_hook(lambda module, inputs, output: calls.append(type(module)))
    try:
        plain(x)
        expected, calls[:] = list(calls), []
        fused(x)
    finally:
        handle.remove()
    assert [kind.__name__ for kind in calls] == [kind.__name__ for kind in expected]


@pytest.mark.parametrize(
    ("name", "value", "fused_again"),
    [("gain", 3.0, True), ("use_norm", False, True), ("rate", 0.0, True), ("absent", nn.Flatten(), False)],
)
def test_an_attribute_that_forward_read_is_read_again(name, value, fused_again):
    plain, (x,) = make("flags")
    fused = fastgan.fuse_(copy.deepcopy(plain))
    plain.eval(), fused.eval()
    setattr(plain, name, value), setattr(fused, name, value)
    torch.testing.assert_close(call(fused, (x,)), call(plain, (x,)))
    with backends.record() as runs:
        call(fused, (x,))
    assert not runs  # as written: the trace was made with another answer
    (told,) = fastgan.report(fused).containers
    assert not told.fused and "runs as written until fuse_ is called again" in told.reason
    fastgan.fuse_(fused)
    with backends.record() as runs:
        torch.testing.assert_close(call(fused, (x,)), call(plain, (x,)))
    assert len(runs) > 0


def test_both_modes_and_arguments_with_defaults():
    plain, (x,) = make("flags")
    fused, extra = fastgan.fuse_(copy.deepcopy(plain)), torch.randn(4, 6)
    for training in (True, False):
        plain.train(training), fused.train(training)
        for keywords in ({}, {"extra": extra}, {"features": True}, {"extra": None}, {"features": False}):
            outputs = []
            for model in (plain, fused):
                torch.manual_seed(1)
                with backends.record() as runs:
                    outputs.append(call(model, (x,), **keywords))
            torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-4, atol=1e-5)
            assert bool(runs) is (not keywords.get("features"))
    torch.testing.assert_close(fused(x, extra), plain(x, extra=extra), rtol=1e-4, atol=1e-5)
    for wrong in ((), (x, extra, False, 1)):
        with pytest.raises(TypeError, match="forward"):
            fused(*wrong)
    with pytest.raises(TypeError, match="multiple values"):
        fused(x, x=x)
    with pytest.raises(TypeError, match="unexpected"):
        fused(x, other=1)


def test_an_argument_without_a_default_that_is_no_tensor():
    class Optional(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x, c):
            x = torch.relu(self.conv(x))
            return x if c is None else x + c

    plain = Optional()
    fused, x = fastgan.fuse_(copy.deepcopy(plain)), torch.randn(1, 3, 8, 8)
    assert type(fused) is not Optional
    for c in (torch.ones(1), None, 2.0):
        torch.testing.assert_close(fused(x, c), plain(x, c))


def test_a_layer_that_was_taken_out_of_a_list():
    plain, (x,) = make("flags")
    fused = fastgan.fuse_(copy.deepcopy(plain))
    for model in (plain, fused):
        model.eval()
        del model.convs[1], model.norms[1]
    torch.testing.assert_close(fused(x), plain(x))


def test_load_state_dict_and_optimizers():
    torch.manual_seed(0)
    plain, x = Chain(), torch.randn(4, 3, 9, 9)
    fused = fastgan.fuse_(Chain())
    fused.load_state_dict(plain.state_dict())
    history = []
    for model in (plain, fused):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        losses = []
        for _ in range(5):
            optimizer.zero_grad()
            loss = (model(x) - 1).square().mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        history.append(losses)
    assert history[0] == pytest.approx(history[1], rel=1e-4) and history[0][-1] < history[0][0]


def test_functional_call():
    from torch.func import functional_call

    fused = fastgan.fuse_(Flags().eval())
    doubled = {name: 2 * tensor for name, tensor in fused.state_dict().items()}
    x = torch.randn(2, 3, 8, 8)
    plain = Flags().eval()
    plain.load_state_dict(doubled)
    torch.testing.assert_close(functional_call(fused, doubled, (x,)), plain(x), rtol=1e-4, atol=1e-4)
