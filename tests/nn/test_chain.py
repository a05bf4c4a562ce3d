"""Chains of modules: what running them fused gives is what calling them gives, and each flag counts at every call."""

import copy
import re

import pytest
import torch
from support.tolerances import assert_as_good_as
from torch import nn
from torch.nn.utils import parametrizations

from fastgan import backends, chain, native
from fastgan.nn import ConditionalBatchNorm2d, ConvBnAct2d, ConvTransposeBnAct2d
from fastgan.nn.chain import run, steps_of, why_alone

CONV = {"kernel_size": 4, "stride": 2, "padding": 1}


@pytest.fixture(params=["reference", "cpu"], autouse=True)
def backend(request, need):
    if request.param == "cpu":
        need(native.ops_missing(), "cpu")
    with backends.use_backend(request.param):
        yield request.param


def make_layers() -> nn.Sequential:
    """Every kind of edge: with and without batch norm, biases, two activations, a layer that chains do not know."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, **CONV),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(6, 8, **CONV),
        nn.BatchNorm2d(8),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Dropout2d(0.0),
        nn.ConvTranspose2d(8, 6, **CONV),
        nn.BatchNorm2d(6, momentum=None),
        nn.ReLU(True),
        nn.ConvTranspose2d(6, 3, 3, stride=2, padding=1, output_padding=1, bias=False),
        nn.Tanh(),
    )


def call(layers, x, c=None):
    for layer in layers:
        x = layer(x, c) if getattr(layer, "num_classes", 0) else layer(x)
    return x


def gradients(layers, output):
    up = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view(output.shape)
    return torch.autograd.grad(output, list(layers.parameters()), up)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("channels_last", [False, True], ids=["nchw", "channels_last"])
def test_values_gradients_and_buffers(training, channels_last, backend):
    """Exactly in float64; in float32 as exact as stock torch."""
    ours = make_layers().double().train(training)
    stock = copy.deepcopy(ours)
    x = torch.randn(4, 3, 16, 12, dtype=torch.float64)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    with backends.record() as runs:
        output = run(ours, x)[0]
    assert [each.op for each in runs].count("affine_act_conv2d") == 2
    assert [each.op for each in runs].count("affine_act_conv_transpose2d") == 2
    expected = call(stock, x)
    assert output.stride() == expected.stride()
    torch.testing.assert_close(output, expected, rtol=1e-10, atol=1e-12)
    for ours_grad, stock_grad in zip(gradients(ours, output), gradients(stock, expected), strict=True):
        torch.testing.assert_close(ours_grad, stock_grad, rtol=1e-8, atol=1e-11)
    for one, other in zip(ours.buffers(), stock.buffers(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=0)
    single = copy.deepcopy(stock).float()
    by_stock, by_ours = call(copy.deepcopy(single), x.float()), run(copy.deepcopy(single), x.float())[0]
    assert_as_good_as(by_ours, by_stock, call(copy.deepcopy(stock), x))


@pytest.mark.parametrize("taps", [(0,), (2,), (3, 4), (1, 9, 10), tuple(range(11))], ids=str)
def test_taps_store_what_they_ask_for(taps):
    layers = make_layers().double()
    for layer in layers:
        if hasattr(layer, "inplace"):
            layer.inplace = False
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    expected, y = {}, x
    for index, layer in enumerate(copy.deepcopy(layers)):
        y = layer(y)
        expected[index] = y
    output, found = run(layers, x, taps=taps)
    assert set(found) == set(taps)
    torch.testing.assert_close(output, y, rtol=1e-10, atol=1e-12)
    for index in taps:
        assert found[index].stride() == expected[index].stride()
        torch.testing.assert_close(found[index], expected[index], rtol=1e-10, atol=1e-12)


def test_blocks_and_classes():
    torch.manual_seed(0)
    layers = nn.Sequential(
        ConvTransposeBnAct2d(4, 6, **CONV, num_classes=3, activation="leaky_relu", negative_slope=0.3),
        nn.ConvTranspose2d(6, 5, **CONV),
        ConditionalBatchNorm2d(5, 3),
        nn.ReLU(),
        ConvBnAct2d(5, 2, 3, padding=1, activation="tanh"),
    ).double()
    with torch.no_grad():
        for name, p in layers.named_parameters():
            if "bn" in name or name.startswith("2"):
                p.add_(0.3 * torch.randn_like(p))
    x, c = torch.randn(5, 4, 4, 4, dtype=torch.float64), torch.tensor([0, 2, 1, 2, 0])
    stock = copy.deepcopy(layers)
    with backends.use_backend("auto"):
        chain_pays, chain.pays = chain.pays, lambda x: False
        try:
            expected = call(stock, x, c)
        finally:
            chain.pays = chain_pays
    output = run(layers, x, c)[0]
    torch.testing.assert_close(output, expected, rtol=1e-10, atol=1e-12)
    for one, other in zip(gradients(layers, output), gradients(stock, expected), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-10)


def test_a_conv_bias_before_batch_norm_has_a_gradient_of_zeros():
    layers = make_layers()
    run(layers, torch.randn(4, 3, 16, 16))[0].sum().backward()
    assert torch.equal(layers[2].bias.grad, torch.zeros(8))
    assert layers[0].bias.grad.abs().max() > 0
    layers = make_layers()
    with torch.no_grad():
        layers[2].bias[1] = float("inf")
    assert not run(layers, torch.randn(4, 3, 16, 16))[0].isfinite().all()


def test_hooks_run_and_cut_the_chain():
    layers, seen = make_layers(), []
    handle = layers[3].register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    x = torch.randn(2, 3, 8, 8)
    with backends.record() as runs:
        run(layers, x)
    expected = layers[2](torch.nn.functional.leaky_relu(layers[0](x), 0.2))
    assert_as_good_as(seen[0], expected, expected.double(), ulps=8)
    assert why_alone(layers[3]) == "it has forward hooks"
    handle.remove()
    with backends.record() as fewer:
        run(layers, x)
    assert len(seen) == 1 and len(fewer) != len(runs)
    with torch.nn.modules.module.register_module_forward_hook(lambda *_: seen.append(None)):
        run(layers, x)
    assert len(seen) == 1 + len(layers)


def test_flags_are_read_at_every_call():
    layers = make_layers()
    x = torch.randn(4, 3, 16, 16)
    run(layers, x)
    layers[3].eval()
    before = copy.deepcopy(layers[3].state_dict()), int(layers[7].num_batches_tracked)
    run(layers, x)
    assert all(torch.equal(value, before[0][name]) for name, value in layers[3].state_dict().items())
    assert layers[7].num_batches_tracked == before[1] + 1
    plain = run(layers.eval(), x)[0]
    parametrizations.spectral_norm(layers[2])
    normed = run(layers, x)[0]
    assert not torch.allclose(normed, plain)
    assert why_alone(layers[2]) is None
    assert_as_good_as(normed, call(layers, x), call(copy.deepcopy(layers).double(), x.double()))


def test_without_running_statistics_or_affine_map():
    layers = make_layers().double()
    layers[3] = nn.BatchNorm2d(8, affine=False, track_running_stats=False).double()
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    stock = copy.deepcopy(layers)
    for mode in (True, False):
        torch.testing.assert_close(run(layers.train(mode), x)[0], call(stock.train(mode), x), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (nn.Conv2d(4, 4, 3, groups=2), "it has 2 groups"),
        (nn.Conv2d(4, 4, 3, dilation=2), r"it is dilated by \(2, 2\)"),
        (nn.Conv2d(4, 4, 3, padding="same"), "its padding is 'same'"),
        (nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), "its padding_mode is reflect"),
        (nn.LeakyReLU(1.5), r"its negative_slope 1.5 is outside \[0, 1\]"),
        (nn.GELU(), "GELU is not a convolution, batch norm or activation that a chain knows"),
        (torch.nn.utils.spectral_norm(nn.Conv2d(4, 4, 3)), "it has forward pre hooks"),
    ],
    ids=str,
)
def test_what_is_called_as_it_stands(layer, reason):
    layer = copy.deepcopy(layer)
    assert re.fullmatch(reason, why_alone(layer))
    assert [step.kind for step in steps_of(layer)] == ["call"]
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), layer, nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    x = torch.randn(2, 4, 9, 9)
    layers(x)  # old spectral norm moves its estimate at every training call
    layers.eval()
    ours, stock = run(layers, x)[0], call(layers, x)
    assert_as_good_as(ours, stock, call(layers.double(), x.double()), ulps=8)


def test_torch_itself_complains_about_what_does_not_fit():
    layers = make_layers()
    for x in (torch.randn(2, 5, 8, 8), torch.randn(2, 3, 8, 8, dtype=torch.float64)):
        with pytest.raises(RuntimeError) as ours:
            run(layers, x)
        with pytest.raises(RuntimeError) as stock:
            layers(x)
        assert str(ours.value) == str(stock.value)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        run(nn.Sequential(nn.Conv2d(3, 4, 4), nn.BatchNorm2d(4)), torch.randn(1, 3, 4, 4))


def test_autocast_as_stock_torch_has_it():
    layers = make_layers()
    x = torch.randn(4, 3, 16, 16)
    exact = call(copy.deepcopy(layers).double(), x.double())
    with torch.autocast("cpu", torch.bfloat16):
        ours, stock = run(copy.deepcopy(layers), x)[0], call(copy.deepcopy(layers), x)
    assert_as_good_as(ours, stock, exact)


def test_compiles_in_one_graph():
    layers = make_layers()
    x = torch.randn(2, 3, 8, 8)
    expected = gradients(layers, run(layers, x)[0])
    compiled = torch.compile(lambda x: run(layers, x)[0], backend="aot_eager", fullgraph=True)
    for one, other in zip(gradients(layers, compiled(x)), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_stock_modules_run_where_no_backend_is_faster(monkeypatch):
    monkeypatch.setattr(chain, "pays", lambda x: False)
    layers = make_layers()
    x = torch.randn(2, 3, 8, 8)
    with backends.record() as runs:
        output = run(layers, x)[0]
    assert runs == []
    assert torch.equal(output, call(copy.deepcopy(layers), x))
