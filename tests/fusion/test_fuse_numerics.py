"""Fused models against their plain twins: outputs, gradients, buffers, random numbers."""

import copy
import weakref

import pytest
import torch
import torch.nn.functional as F
from fusion_models import MODELS, Conditional, call, make
from support.tolerances import assert_as_good_as
from torch import nn

import fastgan
from fastgan import backends

# Operators one forward pass has to run; none of a model whose convolutions are all under hooks or alone.
CONVOLUTIONS = {
    "device_test": 3,
    "critic": 3,
    "conditional": 3,
    "unet": 6,
    "functional": 5,
    "flags": 3,
    "spectral": 2,
}


def pair(name, seed=0):
    """(plain, fused, arguments) with the same numbers."""
    plain, arguments = make(name, seed)
    return plain, fastgan.fuse_(copy.deepcopy(plain)), arguments


def in_double(model, arguments):
    return model.double(), tuple(each.double() if each.is_floating_point() else each for each in arguments)


def gradients(model, arguments, upstream):
    """name -> gradient, after a forward pass with the same random numbers for all."""
    torch.manual_seed(1)
    output = call(model, arguments)
    found = torch.autograd.grad(output, list(model.parameters()), upstream.to(output.dtype))
    return output.detach(), dict(zip((name for name, _ in model.named_parameters()), found, strict=True))


def rounding_noise(model):
    """Biases in front of a batch norm: their gradient is zero but for rounding."""
    names = []
    for prefix, module in model.named_modules():
        layers = list(module.named_children()) if isinstance(module, nn.Sequential) else []
        for (name, layer), (_, after) in zip(layers, layers[1:], strict=False):
            if isinstance(after, nn.BatchNorm2d) and getattr(layer, "bias", None) is not None:
                names.append(f"{prefix}.{name}.bias")
    return [*names, "up1.bias"]


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", MODELS)
def test_outputs_gradients_and_buffers_in_double(name, training):
    plain, fused, arguments = pair(name)
    plain, arguments = in_double(plain, arguments)
    fused.double()
    noise, count = rounding_noise(plain), call(make(name)[0], make(name)[1]).numel()
    for _ in range(2):  # the second time from the buffers of the first
        for model in (plain, fused):
            model.train(training)
        upstream = torch.randn(count, dtype=torch.float64)
        expected, by_name = gradients(plain, arguments, upstream)
        got, found = gradients(fused, arguments, upstream)
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)
        for key, gradient in by_name.items():
            if key not in noise or not training:
                torch.testing.assert_close(found[key], gradient, rtol=1e-8, atol=1e-10, msg=key)
        for (key, one), other in zip(plain.named_buffers(), fused.buffers(), strict=True):
            torch.testing.assert_close(other, one, rtol=1e-11, atol=1e-12, msg=key)


@pytest.mark.parametrize("name", MODELS)
def test_the_error_rule_in_single(name):
    plain, fused, arguments = pair(name)
    exact, exact_arguments = in_double(copy.deepcopy(plain), arguments)
    # Evaluation: dropout draws other numbers in double.
    for model in (plain, fused, exact):
        model.eval()
    upstream = torch.randn_like(call(exact, exact_arguments))
    exact_output, exact_gradients = gradients(exact, exact_arguments, upstream)
    stock, stock_gradients = gradients(plain, arguments, upstream)
    ours, our_gradients = gradients(fused, arguments, upstream)
    assert_as_good_as(ours, stock, exact_output)
    for key, gradient in exact_gradients.items():
        # Inside a chain maps lie channels last, where torch's own convolutions round otherwise: twice, and 2 ulp more.
        assert_as_good_as(our_gradients[key], stock_gradients[key], gradient, factor=2.0, ulps=4.0)


@pytest.mark.parametrize("name", MODELS)
def test_chains_really_run(name):
    _, fused, arguments = pair(name)
    with backends.record() as runs:
        call(fused, arguments)
    ran = sum(run.op.startswith("affine_act_conv") for run in runs)
    assert ran == CONVOLUTIONS[name]
    fastgan.unfuse_(fused)
    with backends.record() as runs:
        call(fused, arguments)
    assert not runs


def test_second_derivatives():
    plain, fused, arguments = pair("critic")
    plain, (x,) = in_double(plain, arguments)
    penalties = []
    for model in (plain, fused.double()):
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
        weights = [p for name, p in model.named_parameters() if name.endswith("weight")]
        penalties.append(torch.autograd.grad(gradient.square().sum(), weights))
    for one, other in zip(*penalties, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-9, atol=1e-11)


def test_dropout_draws_the_same_numbers():
    plain, fused, arguments = pair("flags")
    outputs = []
    for model in (plain, fused):
        torch.manual_seed(3)
        outputs.append(call(model, arguments) == 0)
    assert outputs[0].any() and torch.equal(*outputs)


def test_an_argument_is_not_written_into_where_torch_does_not():
    plain, fused, (x,) = pair("critic")
    before = x.clone()
    fused(x)
    assert torch.equal(x, before)
    # ... and is, where torch does: the first layer works in place.
    fused, inside = fastgan.fuse_(nn.Sequential(nn.ReLU(True), nn.Conv2d(3, 4, 3), nn.ReLU(True))), x.clone()
    fused(inside)
    assert torch.equal(inside, x.relu())


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_output_lies_in_memory_as_torch_has_it(layout):
    plain, fused, (x,) = pair("unet")
    x = x.contiguous(memory_format=layout)
    assert fused(x.clone()).stride() == plain(x.clone()).stride()


def test_autocast():
    for name in ("device_test", "functional", "unet"):
        plain, fused, arguments = pair(name)
        exact, exact_arguments = in_double(copy.deepcopy(plain), arguments)
        with torch.autocast("cpu", torch.bfloat16):
            stock, ours = call(plain, arguments), call(fused, arguments)
        assert_as_good_as(ours.detach(), stock.detach(), call(exact, exact_arguments).detach())


def test_half_of_a_model_alone_and_inputs_that_are_no_batch():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.LeakyReLU(0.1), nn.Conv2d(4, 2, 3), nn.Tanh())
    fused = fastgan.fuse_(copy.deepcopy(plain))
    image = torch.randn(3, 8, 8)
    torch.testing.assert_close(fused(image), plain(image))
    with pytest.raises(RuntimeError, match="expected input"):
        fused(torch.randn(1, 5, 8, 8))


def test_labels_reach_conditional_batch_norm_in_a_traced_forward():
    from fastgan.nn import ConditionalBatchNorm2d

    class Labelled(nn.Module):
        def __init__(self):
            super().__init__()
            self.up, self.norm, self.out = nn.Conv2d(3, 4, 3), ConditionalBatchNorm2d(4, 5), nn.Conv2d(4, 2, 3)

        def forward(self, x, c):
            return self.out(torch.relu(self.norm(self.up(x), c)))

    plain = Labelled().double()
    nn.init.normal_(plain.norm.weight)
    fused = fastgan.fuse_(copy.deepcopy(plain))
    x, c = torch.randn(3, 3, 8, 8).double(), torch.tensor([0, 4, 2])
    torch.testing.assert_close(fused(x, c), plain(x, c), rtol=1e-10, atol=1e-12)
    (found,) = fastgan.report(fused).containers
    assert found.chains[0].layers == ("up Conv2d", "norm ConditionalBatchNorm2d", "relu", "out Conv2d")


def test_a_module_that_calls_itself_num_classes_gets_one_argument():
    class Head(nn.Module):
        num_classes = 10

        def forward(self, x):
            return x.mean()

    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), Head())
    x = torch.randn(1, 3, 5, 5)
    expected = model(x)
    torch.testing.assert_close(fastgan.fuse_(model)(x), expected)


class Shift(nn.Module):
    """A module of one's own with a second argument."""

    def forward(self, x, c):
        return x + c[:, None, None, None]


def test_a_module_with_two_arguments_in_the_middle_of_a_row():
    class Shifted(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.shift, self.norm = nn.Conv2d(3, 4, 3), Shift(), nn.BatchNorm2d(4)
            self.last = nn.ConvTranspose2d(4, 2, 3, stride=2)

        def forward(self, x, c, size=None):
            x = self.shift(torch.relu(self.norm(self.first(x))), c)
            return torch.tanh(self.last(F.leaky_relu(x, negative_slope=0.3), output_size=size))

    plain = Shifted().double()
    fused, x, c = fastgan.fuse_(copy.deepcopy(plain)), torch.randn(4, 3, 8, 8).double(), torch.rand(4).double()
    with backends.record() as runs:
        got = fused(x, c)
    torch.testing.assert_close(got, plain(x, c), rtol=1e-10, atol=1e-12)
    # The transposed convolution has a keyword, so that it is no layer of a chain.
    assert [run.op for run in runs if "conv" in run.op] == ["affine_act_conv2d"]
    assert fused(x, c, size=(14, 14)).shape == plain(x, c, size=(14, 14)).shape == (4, 2, 14, 14)


class Probe(nn.Module):
    """Holds a weak reference to what it gets; it and the next one look whether that is still there."""

    def __init__(self, held):
        super().__init__()
        self.held = held

    def forward(self, x):
        self.held.append([reference() is None for reference in self.held if callable(reference)])
        self.held.append(weakref.ref(x))
        return x * 2


def test_what_nobody_reads_any_more_is_let_go():
    class Probed(nn.Module):
        def __init__(self):
            super().__init__()
            held = []
            self.conv, self.first, self.second, self.third = nn.Conv2d(3, 4, 3), Probe(held), Probe(held), Probe(held)

        def forward(self, x):
            x = self.first(torch.relu(self.conv(x)))
            x = self.second(x + 1)
            return self.third(x - 1)

    model = fastgan.fuse_(Probed())
    assert type(model) is not Probed
    with torch.no_grad():
        model(torch.randn(1, 3, 8, 8))
    assert [each for each in model.first.held if isinstance(each, list)] == [[], [True], [True, True]]


def test_inside_a_chain_maps_lie_channels_last(monkeypatch):
    from fastgan import chain

    turned = []
    monkeypatch.setattr(chain, "channels_last", lambda x: turned.append(x) or x)
    two = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
    for model, times in ((two, 1), (two[:2], 0)):
        turned.clear()
        fastgan.fuse_(model)(torch.randn(1, 3, 8, 8))
        assert len(turned) == times


def critic_of_grey():
    first = nn.Conv2d(1, 8, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(8, 1, 3, 1, 1), nn.LeakyReLU(0.2)
    return nn.Sequential(*first, nn.Conv2d(1, 8, 4, 2, 1), nn.BatchNorm2d(8), nn.LeakyReLU(0.2), nn.Conv2d(8, 1, 2, 2))


def generator_from_one_pixel():
    first = nn.ConvTranspose2d(6, 8, 4), nn.BatchNorm2d(8), nn.ReLU(), nn.ConvTranspose2d(8, 4, 4, 2, 1), nn.ReLU()
    return nn.Sequential(*first, nn.ConvTranspose2d(4, 1, 4, 2, 1), nn.Tanh())


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize(
    "make_model, shape", [(critic_of_grey, (3, 1, 16, 16)), (generator_from_one_pixel, (3, 6, 1, 1))]
)
def test_chains_from_one_channel_or_one_pixel_are_channels_last_inside(make_model, shape, backend, monkeypatch, need):
    """Such a map is NHWC and NCHW at once; with the strides of NCHW it would make the whole chain NCHW."""
    from fastgan import chain

    if backend == "cpu":
        need(fastgan.native.ops_missing(), "cpu")
    maps = []
    for name in ("conv2d", "conv_transpose2d"):
        function = getattr(chain, name)

        def convolve(*arguments, function=function, **options):
            maps.append(function(*arguments, **options))
            return maps[-1]

        monkeypatch.setattr(chain, name, convolve)
    torch.manual_seed(0)
    plain = make_model().double()
    fused, x = fastgan.fuse_(copy.deepcopy(plain)), torch.randn(shape).double().requires_grad_()
    found = []
    with backends.use_backend(backend):
        for model in (fused, plain):
            y = model(x)
            upstream = torch.linspace(-1, 1, y.numel()).double().view(y.shape)
            firsts = torch.autograd.grad(y, [x, *model.parameters()], upstream, create_graph=True)
            penalty = firsts[0].square().sum()
            found.append(([y, *firsts], torch.autograd.grad(penalty, list(model.parameters()), materialize_grads=True)))
    assert len(maps) == sum(isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) for layer in plain)
    assert {chain.layout(map.raw) for map in maps} == {torch.channels_last}
    ours, theirs = found
    assert [each.stride() for each in ours[0]] == [each.stride() for each in theirs[0]]
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-8)


def test_blocks_of_ours_between_layers_of_torch():
    from fastgan.nn import ConvBnAct2d, ConvTransposeBnAct2d

    first, second = ConvBnAct2d(3, 6, 4, 2, 1), ConvTransposeBnAct2d(6, 4, 4, 2, 1, activation="relu")
    plain = nn.Sequential(first, nn.Conv2d(6, 6, 3, padding=1), second, nn.Conv2d(4, 2, 1), nn.Tanh()).double()
    fused, x = fastgan.fuse_(copy.deepcopy(plain)), torch.randn(4, 3, 8, 8).double()
    with backends.record() as runs:
        got = fused(x)
    torch.testing.assert_close(got, plain(x), rtol=1e-10, atol=1e-12)
    assert [run.op for run in runs].count("affine_act") == 1
    for one, other in zip(plain.buffers(), fused.buffers(), strict=True):
        torch.testing.assert_close(other, one, rtol=1e-10, atol=1e-12)


def test_many_threads_at_once():
    from concurrent.futures import ThreadPoolExecutor

    for name in ("functional", "device_test"):
        model, arguments = make(name)
        fastgan.fuse_(model).eval()
        expected = call(model, arguments)
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: call(model, arguments), range(16)))  # noqa: B023 -- used up in the loop
        assert all(torch.equal(each, expected) for each in found)


def test_embeddings_are_trained():
    plain, arguments = make("conditional")
    assert isinstance(plain, Conditional)
    fused = fastgan.fuse_(copy.deepcopy(plain))
    results = []
    for model in (plain, fused):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            call(model, arguments).square().mean().backward()
            optimizer.step()
        results.append(model.label_emb.weight.detach())
    torch.testing.assert_close(*results, rtol=1e-3, atol=1e-5)
    assert not torch.equal(results[0], make("conditional")[0].label_emb.weight)
