"""The generator: presets, sizes, labels, taps, first weights, errors, copies and compilation."""

import copy
import json
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tolerances import assert_as_good_as
from torch import nn

from fastgan import noise
from fastgan.models import PRESETS, Generator, nearest_size


def test_default_is_the_keras_model_of_64x64():
    generator = Generator()
    shapes = {tap: tuple(x.shape[1:]) for tap, x in generator.features(torch.randn(2, 100)).items()}
    assert shapes == {
        "input": (512, 4, 4),
        "up1": (256, 8, 8),
        "up2": (128, 16, 16),
        "up3": (64, 32, 32),
        "image": (3, 64, 64),
    }
    assert generator.main.input.linear.weight.shape == (8192, 100) and generator.main.input.linear.bias is None
    assert generator.main.up1.bn.eps == 1e-3 and generator.main.up1.bn.momentum == 0.01
    assert generator.main.up1.negative_slope == 0.3


def test_keras_preset_equals_stock_layers():
    torch.manual_seed(0)
    generator = Generator((24, 16), 3, z_dim=7, width=8).double()  # 6x4 -> 12x8 -> 24x16
    block = {"eps": 1e-3, "momentum": 0.01}
    stock = nn.ModuleList(
        [
            nn.Linear(7, 6 * 4 * 16, bias=False),
            nn.BatchNorm1d(6 * 4 * 16, **block),
            nn.ConvTranspose2d(16, 8, 4, 2, 1, bias=False),
            nn.BatchNorm2d(8, **block),
            nn.ConvTranspose2d(8, 3, 4, 2, 1),
        ]
    ).double()
    stock.load_state_dict(dict(zip(stock.state_dict(), generator.state_dict().values(), strict=True)))
    z = torch.randn(5, 7, dtype=torch.float64)
    for training in (True, False):
        stock.train(training)
        x = nn.functional.leaky_relu(stock[1](stock[0](z)), 0.3)
        x = x.reshape(5, 6, 4, 16).permute(0, 3, 1, 2)
        x = nn.functional.leaky_relu(stock[3](stock[2](x)), 0.3)
        expected = torch.tanh(stock[4](x))
        torch.testing.assert_close(generator.train(training)(z), expected, rtol=1e-11, atol=1e-11)


def _example_generator(nz=100, ngf=64, nc=3):
    """The layers of the widely used PyTorch DCGAN example, as its state_dict shows them."""
    layers = [nn.ConvTranspose2d(nz, ngf * 8, 4, 1, 0, bias=False), nn.BatchNorm2d(ngf * 8), nn.ReLU(True)]
    for wide, narrow in ((8, 4), (4, 2), (2, 1)):
        layers.append(nn.ConvTranspose2d(ngf * wide, ngf * narrow, 4, 2, 1, bias=False))
        layers += [nn.BatchNorm2d(ngf * narrow), nn.ReLU(True)]
    return nn.Sequential(*layers, nn.ConvTranspose2d(ngf, nc, 4, 2, 1, bias=False), nn.Tanh())


def test_weights_of_the_pytorch_example_load_strictly():
    torch.manual_seed(0)
    example = _example_generator()
    z = torch.randn(2, 100)
    example(torch.randn(4, 100, 1, 1))  # moves the running statistics away from their start
    saved = {f"main.{key}": value for key, value in example.state_dict().items()}
    generator = Generator(preset="dcgan")
    generator.load_state_dict(saved, strict=True)
    for training in (False, True):
        exact = copy.deepcopy(example).double().train(training)(z.double()[:, :, None, None])
        expected = example.train(training)(z[:, :, None, None])
        assert_as_good_as(generator.train(training)(z), expected, exact)


@pytest.mark.parametrize("preset", PRESETS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_size_channels_and_classes(preset, data):
    size = nearest_size(data.draw(st.integers(8, 100)), data.draw(st.integers(8, 100)))
    channels = data.draw(st.integers(1, 4))
    num_classes = data.draw(st.sampled_from([0, 1, 3]))
    generator = Generator(size, channels, z_dim=3, width=2, num_classes=num_classes, preset=preset)
    c = torch.randint(0, num_classes, (2,)) if num_classes else None
    images = generator(torch.randn(2, 3), c)
    assert images.shape == (2, channels, *size)
    assert images.abs().max() <= 1
    twin = Generator(**json.loads(json.dumps(generator.config)))
    twin.load_state_dict(generator.state_dict(), strict=True)
    z = torch.randn(2, 3)
    assert torch.equal(twin.eval()(z, c), generator.eval()(z, c))


@pytest.mark.parametrize("preset", PRESETS)
def test_every_batch_norm_is_conditional_where_there_are_classes(preset):
    generator = Generator((28, 28), 1, z_dim=5, width=4, num_classes=10, preset=preset)
    norms = [m for m in generator.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert len(norms) == 2
    for norm in norms:
        assert norm.weight.shape == norm.bias.shape == (10, norm.num_features)
    generator.eval()
    z = torch.randn(1, 5).expand(10, 5)
    images = generator(z, torch.arange(10))
    torch.testing.assert_close(generator(z[:1], torch.tensor([7]))[0], images[7])
    assert len({tuple(image.flatten().tolist()) for image in images}) == 10


@pytest.mark.parametrize("preset", PRESETS)
def test_taps_are_what_the_layers_put_out(preset):
    generator = Generator((32, 32), 3, z_dim=5, width=4, num_classes=2, preset=preset).eval()
    z, c = torch.randn(3, 5), torch.tensor([0, 1, 1])
    assert generator.taps == ("input", "up1", "up2", "image")
    found = generator.features(z, c, ["up2", "image"])
    assert sorted(found) == ["image", "up2"]
    assert torch.equal(found["image"], generator(z, c))
    assert found["up2"].shape == (3, 4, 16, 16)
    assert sorted(generator.features(z, c)) == sorted(generator.taps)
    with pytest.raises(ValueError, match="taps must be among input, up1, up2, image, got 'up9'"):
        generator.features(z, c, ["up1", "up9"])


@pytest.mark.parametrize("preset", PRESETS)
def test_first_weights_are_a_function_of_the_seed(preset):
    first = Generator((16, 16), 2, z_dim=6, width=8, num_classes=3, preset=preset).init_weights(5)
    torch.manual_seed(99)
    second = Generator((16, 16), 2, z_dim=6, width=8, num_classes=3, preset=preset)
    second(torch.randn(4, 6), torch.zeros(4, dtype=torch.int64))  # running statistics are reset as well
    second.init_weights(5)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name
    weight = next(iter(first.parameters()))
    numbers = noise.normal(5, noise.Stream.INIT, 0, 1, weight.numel())
    assert torch.equal(weight.flatten(), torch.from_numpy(numbers[0]) * 0.02)
    other = second.init_weights(6).state_dict()
    assert not torch.equal(weight, next(iter(other.values())))


def test_new_weights_follow_the_dcgan_rule_and_torchs_seed():
    torch.manual_seed(1)
    generator = Generator(width=32, num_classes=4)
    torch.manual_seed(1)
    again = Generator(width=32, num_classes=4)
    for name, value in generator.named_parameters():
        assert torch.equal(value, again.get_parameter(name))
        if name.endswith("bias"):
            assert not value.any()
        else:
            spread = 5 * 0.02 / value.numel() ** 0.5
            assert abs(value.mean() - (1.0 if ".bn." in name else 0.0)) < spread
            assert abs(value.std() - 0.02) < spread


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": (30, 30)}, "nearest such size is 32x32"),
        ({"channels": 5}, "channels must be 1, 2, 3 or 4, got 5"),
        ({"channels": 0}, "channels must be an integer >= 1, got 0"),
        ({"z_dim": 0}, "z_dim must be an integer >= 1"),
        ({"width": 2.5}, "width must be an integer >= 1, got 2.5"),
        ({"num_classes": -1}, "num_classes must be an integer >= 0"),
        ({"preset": "biggan"}, "preset must be one of keras, dcgan, got 'biggan'"),
    ],
)
def test_impossible_models_are_refused_in_one_sentence(arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        Generator(**arguments)
    assert "\n" not in str(caught.value)


def test_wrong_inputs_are_refused_in_one_sentence():
    plain = Generator((8, 8), 1, z_dim=5, width=4)
    labelled = Generator((8, 8), 1, z_dim=5, width=4, num_classes=3)
    z, c = torch.randn(2, 5), torch.tensor([0, 2])
    cases = [
        (lambda: plain(z[:, :4]), r"z must be \[N, z_dim=5\], got \[2, 4\]"),
        (lambda: plain(z, c), "c must be None for a model without classes"),
        (lambda: labelled(z), "c must be int64 .* labels from 0 to 2, got None"),
        (lambda: labelled(z, c.float()), "c must be int64 .* got torch.float32"),
        (lambda: labelled(z, c[:1]), r"c must be int64 \[N=2\] .* got torch.int64 \[1\]"),
        (lambda: labelled(z, c + 1), "got labels from 1 to 3"),
        (lambda: labelled(z, c - 1), "got labels from -1 to 1"),
    ]
    for call, message in cases:
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_copies_are_equal_and_independent(preset, clone):
    generator = Generator((16, 16), 1, z_dim=4, width=4, num_classes=2, preset=preset).eval()
    twin = clone(generator)
    z, c = torch.randn(2, 4), torch.tensor([0, 1])
    assert torch.equal(twin(z, c), generator(z, c))
    twin.init_weights(3)
    assert not torch.equal(twin(z, c), generator(z, c))
    assert twin.config == generator.config and twin.taps == generator.taps


def test_channels_last_model_gives_channels_last_images():
    for preset in PRESETS:
        generator = Generator((32, 32), 3, z_dim=4, width=8, preset=preset)
        z = torch.randn(4, 4)
        plain = generator.eval()(z)
        generator.to(memory_format=torch.channels_last)
        images = generator(z)
        assert images.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(images, plain, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_forward_compiles_into_one_graph(training):
    torch.manual_seed(0)
    generator = Generator((16, 16), 1, z_dim=4, width=4, num_classes=2).train(training)
    eager = copy.deepcopy(generator)
    z, c = torch.randn(3, 4), torch.tensor([0, 1, 0])
    compiled = torch.compile(generator, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(z, c), eager(z, c))
    for got, expected in zip(generator.buffers(), eager.buffers(), strict=True):
        torch.testing.assert_close(got, expected)
