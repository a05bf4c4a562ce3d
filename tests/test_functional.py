"""The blocks of fastgan.functional against stock torch modules in float64, and their derivatives."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fastgan import functional

ACTIVATIONS = {
    "leaky_relu": lambda x: F.leaky_relu(x, 0.3),
    "relu": F.relu,
    "tanh": torch.tanh,
    "none": lambda x: x,
}
# op -> (stock module, input shape)
LAYERS = {
    "conv_transpose2d": (lambda: nn.ConvTranspose2d(4, 6, 4, 2, 1, groups=2), (3, 4, 5, 4)),
    "conv_transpose2d_odd": (lambda: nn.ConvTranspose2d(4, 6, 3, 3, 1, 2, 1, False, 2), (3, 4, 5, 4)),
    "conv2d": (lambda: nn.Conv2d(4, 6, 4, 2, 1, groups=2), (3, 4, 6, 8)),
    "conv2d_same": (lambda: nn.Conv2d(4, 6, 3, padding="same", dilation=2, bias=False), (3, 4, 6, 8)),
    "linear": (lambda: nn.Linear(5, 6), (7, 5)),
}


def _call(name, layer, x, **options):
    if name == "linear":
        return functional.linear_bn_act(x, layer.weight, layer.bias, **options)
    if name.startswith("conv2d"):
        arguments = (layer.stride, layer.padding, layer.dilation, layer.groups)
        return functional.conv2d_bn_act(x, layer.weight, layer.bias, *arguments, **options)
    arguments = (layer.stride, layer.padding, layer.output_padding, layer.groups, layer.dilation)
    return functional.conv_transpose2d_bn_act(x, layer.weight, layer.bias, *arguments, **options)


def _case(name, seed=0):
    torch.manual_seed(seed)
    make, shape = LAYERS[name]
    layer = make().double()
    bn = (nn.BatchNorm1d if name == "linear" else nn.BatchNorm2d)(6, eps=1e-3).double()
    with torch.no_grad():
        for values in (bn.weight, bn.bias, bn.running_mean, bn.running_var):
            values.uniform_(0.5, 1.5)
    return layer, bn, torch.randn(shape, dtype=torch.float64)


def _of(bn):
    return {
        "bn_weight": bn.weight,
        "bn_bias": bn.bias,
        "running_mean": bn.running_mean,
        "running_var": bn.running_var,
        "eps": bn.eps,
    }


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", LAYERS)
def test_block_equals_the_three_stock_layers(name, activation, training):
    layer, bn, x = _case(name)
    bn.train(training)
    mean_before, var_before = bn.running_mean.clone(), bn.running_var.clone()
    result = _call(name, layer, x, training=training, activation=activation, negative_slope=0.3, **_of(bn))
    assert torch.equal(bn.running_mean, mean_before) and torch.equal(bn.running_var, var_before)

    y = layer(x)
    expected = ACTIVATIONS[activation](bn(y))
    torch.testing.assert_close(result.output, expected, rtol=1e-12, atol=1e-12)
    if training:
        dims = [d for d in range(y.ndim) if d != 1]
        torch.testing.assert_close(result.mean, y.mean(dims), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(result.var, y.var(dims, unbiased=True), rtol=1e-12, atol=1e-12)
        assert not result.mean.requires_grad and not result.var.requires_grad
    else:
        assert result.mean is bn.running_mean and result.var is bn.running_var


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", LAYERS)
def test_affine_per_sample_is_the_affine_map_of_each_sample(name, training):
    layer, bn, x = _case(name)
    bn.train(training)
    weight, bias = torch.randn(2, len(x), 6, dtype=torch.float64)
    options = {**_of(bn), "bn_weight": weight, "bn_bias": bias, "training": training}
    got = _call(name, layer, x, activation="tanh", **options).output
    nn.init.ones_(bn.weight)
    nn.init.zeros_(bn.bias)
    normalised = bn(layer(x))
    for n in range(len(x)):
        shape = (6,) + (1,) * (x.ndim - 2)
        expected = torch.tanh(normalised[n] * weight[n].view(shape) + bias[n].view(shape))
        torch.testing.assert_close(got[n], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("per_sample", [False, True], ids=["shared", "per_sample"])
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", ["conv_transpose2d", "conv2d", "linear"])
def test_first_and_second_derivatives(name, training, per_sample):
    torch.manual_seed(5)
    layer, x = {
        "conv_transpose2d": (nn.ConvTranspose2d(2, 2, 4, 2, 1, bias=False), torch.randn(2, 2, 2, 1)),
        "conv2d": (nn.Conv2d(2, 2, 4, 2, 1, bias=False), torch.randn(2, 2, 4, 2)),
        "linear": (nn.Linear(3, 2, bias=False), torch.randn(3, 3)),
    }[name]
    layer = layer.double()
    shape = (len(x), 2) if per_sample else (2,)
    inputs = [x, layer.weight.detach(), torch.rand(shape) + 0.5, torch.randn(shape)]
    inputs = [t.double().requires_grad_() for t in inputs]
    statistics = {"running_mean": torch.randn(2).double(), "running_var": torch.rand(2).double() + 0.5}

    def block(x, weight, bn_weight, bn_bias, activation="leaky_relu"):
        options = {"training": training, "activation": activation, "negative_slope": 0.3, **statistics}
        if name == "linear":
            return functional.linear_bn_act(x, weight, bn_weight=bn_weight, bn_bias=bn_bias, **options).output
        op = functional.conv2d_bn_act if name == "conv2d" else functional.conv_transpose2d_bn_act
        return op(x, weight, None, 2, 1, bn_weight=bn_weight, bn_bias=bn_bias, **options).output

    assert torch.autograd.gradcheck(block, inputs, atol=1e-6)
    assert torch.autograd.gradgradcheck(block, inputs, atol=1e-5)
    if name == "linear":
        assert torch.autograd.gradgradcheck(lambda *t: block(*t, "tanh"), inputs, atol=1e-5)


@pytest.mark.parametrize("per_sample", [False, True], ids=["shared", "per_sample"])
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", ["conv_transpose2d", "conv2d"])
def test_channels_last_is_kept(name, training, per_sample):
    layer, bn, x = _case(name)
    options = _of(bn)
    if per_sample:
        options["bn_weight"], options["bn_bias"] = torch.randn(2, len(x), 6, dtype=torch.float64)
    plain = _call(name, layer, x, training=training, **options).output
    assert plain.is_contiguous()
    x = x.contiguous(memory_format=torch.channels_last)
    got = _call(name, layer, x, training=training, **options).output
    assert got.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(got, plain, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("per_sample", [False, True], ids=["shared", "per_sample"])
def test_autocast_keeps_statistics_in_float32(per_sample):
    torch.manual_seed(0)
    conv = nn.ConvTranspose2d(4, 6, 4, 2, 1)
    x = torch.randn(8, 4, 5, 5)
    shape = (8, 6) if per_sample else (6,)
    affine = {"bn_weight": torch.rand(shape) + 0.5, "bn_bias": torch.randn(shape)}
    exact = functional.conv_transpose2d_bn_act(x, conv.weight, conv.bias, 2, 1, training=True, **affine)
    with torch.autocast("cpu", torch.bfloat16):
        got = functional.conv_transpose2d_bn_act(x, conv.weight, conv.bias, 2, 1, training=True, **affine)
    assert got.output.dtype == torch.bfloat16 and got.mean.dtype == got.var.dtype == torch.float32
    torch.testing.assert_close(got.output.float(), exact.output, rtol=0.05, atol=0.05)
    torch.testing.assert_close(got.mean, exact.mean, rtol=0.02, atol=0.01)


def test_batch_norm_act_takes_any_number_of_dimensions():
    for shape in [(5, 3), (5, 3, 4), (5, 3, 2, 2, 2)]:
        x = torch.randn(shape, dtype=torch.float64)
        got = functional.batch_norm_act(x, training=True, activation="relu").output
        torch.testing.assert_close(got, F.relu(F.batch_norm(x, None, None, training=True)))


X, W = torch.zeros(2, 3, 4, 4), torch.zeros(3, 5, 4, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda o: functional.conv_transpose2d_bn_act(X, W[:2], **o),
            r"weight must be \[C_in=3, .*got \[2, 5, 4, 4\]",
        ),
        (
            lambda o: functional.conv_transpose2d_bn_act(X[0], W, **o),
            r"input must be \[N, C_in, H, W\], got \[3, 4, 4\]",
        ),
        (lambda o: functional.conv2d_bn_act(X, W, **o), r"weight must be \[C_out, C_in / groups=3, kH, kW\]"),
        (
            lambda o: functional.linear_bn_act(X[:, :, 0, 0], torch.zeros(2, 4), **o),
            r"in_features=3\].*got \[2, 4\]",
        ),
        (
            lambda o: functional.batch_norm_act(X, bn_weight=torch.ones(3), **o),
            "bn_bias must be given together",
        ),
        (
            lambda o: functional.batch_norm_act(X, bn_weight=torch.ones(4), bn_bias=torch.ones(3), **o),
            r"bn_weight must be \[C=3\] or \[N=2, C=3\], got \[4\]",
        ),
        (
            lambda o: functional.batch_norm_act(X, bn_weight=torch.ones(2, 3), bn_bias=torch.ones(3), **o),
            "bn_bias must have the shape of bn_weight",
        ),
        (
            lambda o: functional.batch_norm_act(X),
            r"running_mean must be \[C=3\] when training is False, got None",
        ),
        (
            lambda o: functional.batch_norm_act(X, activation="gelu", **o),
            "activation must be one of .* got 'gelu'",
        ),
        (
            lambda o: functional.batch_norm_act(X, negative_slope=-0.1, **o),
            "negative_slope must be >= 0, got -0.1",
        ),
        (lambda o: functional.batch_norm_act(X[0, 0, 0], **o), r"input must be \[N, C, ...\]"),
    ],
)
def test_misuse_is_one_sentence(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call({"training": True})
    assert "\n" not in str(caught.value)
