"""The discriminator: presets, the projection of labels, taps, second derivatives and errors."""

import copy
import json
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tolerances import assert_as_good_as
from torch import nn

from fastgan.models import PRESETS, Discriminator, Generator, nearest_size


def test_default_is_the_keras_model_of_64x64():
    discriminator = Discriminator()
    shapes = {tap: tuple(x.shape[1:]) for tap, x in discriminator.features(torch.randn(2, 3, 64, 64)).items()}
    assert shapes == {"down1": (64, 32, 32), "down2": (128, 16, 16), "down3": (256, 8, 8)}
    assert discriminator.main.linear.weight.shape == (1, 8 * 8 * 256)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in discriminator.modules())


def test_keras_preset_equals_stock_layers():
    torch.manual_seed(0)
    discriminator = Discriminator((28, 36), 2, width=4, num_classes=3).double()
    convs = [m for m in discriminator.modules() if isinstance(m, nn.Conv2d)]
    assert [(m.in_channels, m.out_channels) for m in convs] == [(2, 4), (4, 8)]
    x, c = torch.randn(5, 2, 28, 36, dtype=torch.float64), torch.tensor([0, 1, 2, 1, 0])
    h = x
    for conv in convs:
        h = nn.functional.leaky_relu(nn.functional.conv2d(h, conv.weight, conv.bias, 2, 1), 0.3)
    linear = discriminator.main.linear
    head = torch.einsum("nchw,hwc->n", h, linear.weight.view(7, 9, 8)) + linear.bias
    projection = torch.einsum("nc,nchw->n", discriminator.embed.weight[c], h)
    assert projection.abs().min() > 0
    torch.testing.assert_close(discriminator(x, c), head + projection, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(
    ("size", "maps"),
    [
        ((8, 8), 2),
        ((28, 28), 2),
        ((32, 32), 2),
        ((64, 64), 3),
        ((128, 128), 4),
        ((256, 256), 5),
        ((10, 10), 2),
    ],
)
def test_depth_of_the_keras_preset(size, maps):
    discriminator = Discriminator(size, 1, width=2)
    found = discriminator.features(torch.randn(1, 1, *size))
    assert list(found) == [f"down{i + 1}" for i in range(maps)]
    assert [x.shape[1] for x in found.values()] == [2 * min(2**i, 8) for i in range(maps)]
    assert min(found[f"down{maps}"].shape[2:]) >= 2


def _example_discriminator(ndf=64, nc=3):
    """The layers of the widely used PyTorch DCGAN example, as its state_dict shows them (no sigmoid)."""
    layers = [nn.Conv2d(nc, ndf, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    for narrow, wide in ((1, 2), (2, 4), (4, 8)):
        layers.append(nn.Conv2d(ndf * narrow, ndf * wide, 4, 2, 1, bias=False))
        layers += [nn.BatchNorm2d(ndf * wide), nn.LeakyReLU(0.2, True)]
    return nn.Sequential(*layers, nn.Conv2d(ndf * 8, 1, 4, 1, 0, bias=False))


def test_weights_of_the_pytorch_example_load_strictly():
    torch.manual_seed(0)
    example = _example_discriminator()
    x = torch.randn(32, 3, 64, 64)  # the errors of two logits are chance
    example(x)
    discriminator = Discriminator(preset="dcgan")
    discriminator.load_state_dict({f"main.{k}": v for k, v in example.state_dict().items()}, strict=True)
    for training in (False, True):
        exact = copy.deepcopy(example).double().train(training)(x.double()).view(-1)
        expected = example.train(training)(x).view(-1)
        assert_as_good_as(discriminator.train(training)(x), expected, exact)


@pytest.mark.parametrize("preset", PRESETS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_size_channels_and_classes(preset, data):
    size = nearest_size(data.draw(st.integers(8, 100)), data.draw(st.integers(8, 100)))
    channels = data.draw(st.integers(1, 4))
    num_classes = data.draw(st.sampled_from([0, 1, 3]))
    discriminator = Discriminator(size, channels, width=2, num_classes=num_classes, preset=preset)
    c = torch.randint(0, num_classes, (3,)) if num_classes else None
    x = torch.randn(3, channels, *size)
    logits = discriminator.eval()(x, c)
    assert logits.shape == (3,)
    twin = Discriminator(**json.loads(json.dumps(discriminator.config))).eval()
    twin.load_state_dict(discriminator.state_dict(), strict=True)
    assert torch.equal(twin(x, c), logits)


@pytest.mark.parametrize("preset", PRESETS)
def test_r1_penalty_reaches_every_weight(preset):
    torch.manual_seed(0)
    discriminator = Discriminator((16, 16), 1, width=4, num_classes=2, preset=preset)
    x = torch.randn(3, 1, 16, 16, requires_grad=True)
    logits = discriminator(x, torch.tensor([0, 1, 1]))
    (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    gradient.square().sum().backward()
    for name, parameter in discriminator.named_parameters():
        if name.endswith("weight") and parameter.ndim > 1:
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("preset", PRESETS)
def test_taps_are_chosen_by_name_and_do_not_need_labels(preset):
    discriminator = Discriminator((32, 32), 3, width=4, num_classes=2, preset=preset).eval()
    x = torch.randn(2, 3, 32, 32)
    every = discriminator.features(x)
    assert tuple(every) == discriminator.taps
    assert torch.equal(discriminator.features(x, ("down2",))["down2"], every["down2"])
    assert torch.equal(discriminator.features(x, "down1")["down1"], every["down1"])
    assert every["down1"].min() < 0  # after a leaky activation, not a relu
    with pytest.raises(ValueError, match="taps must be among down1, down2.*, got 'up1'"):
        discriminator.features(x, ["up1"])


def test_first_weights_are_a_function_of_the_seed_and_not_the_generators():
    first, second = (Discriminator((16, 16), 2, width=4, num_classes=3).init_weights(5) for _ in range(2))
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    numbers = next(Generator((16, 16), 2, width=4).init_weights(5).parameters()).flatten()[:100]
    assert not torch.isin(next(first.parameters()).flatten()[:100], numbers).any()


def test_wrong_inputs_are_refused_in_one_sentence():
    discriminator = Discriminator((8, 8), 1, width=4, num_classes=2)
    x = torch.randn(2, 1, 8, 8)
    cases = [
        (lambda: discriminator(x[:, :, :7], torch.tensor([0, 1])), r"x must be \[N, C=1, H=8, W=8\], got"),
        (lambda: discriminator(x), "labels from 0 to 1, got None"),
        (lambda: discriminator(x, torch.tensor([0, 5])), "got labels from 0 to 5"),
        (lambda: Discriminator((8, 8), 1)(x, torch.tensor([0, 1])), "without classes"),
        (lambda: Discriminator((30, 30)), "nearest such size is 32x32"),
        (lambda: Discriminator(channels=7), "channels must be 1, 2, 3 or 4, got 7"),
    ]
    for call, message in cases:
        with pytest.raises(ValueError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_copies_are_equal(clone):
    discriminator = Discriminator((16, 16), 1, width=4, num_classes=2)
    x, c = torch.randn(2, 1, 16, 16), torch.tensor([0, 1])
    assert torch.equal(clone(discriminator)(x, c), discriminator(x, c))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_training_step_never_waits_for_the_device(preset):
    """Tensors on 'meta' have no values: any read of one, which on a GPU would be a wait, raises."""
    with torch.device("meta"):
        generator = Generator((16, 16), 1, z_dim=4, width=4, num_classes=3, preset=preset)
        discriminator = Discriminator((16, 16), 1, width=4, num_classes=3, preset=preset)
        z, c = torch.randn(2, 4), torch.zeros(2, dtype=torch.int64)
        logits = discriminator(generator(z, c), c)
        assert logits.shape == (2,)
        logits.sum().backward()
    for parameter in (*generator.parameters(), *discriminator.parameters()):
        assert parameter.grad.is_meta and parameter.grad.shape == parameter.shape
