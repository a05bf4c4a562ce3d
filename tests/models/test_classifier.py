"""The small classifier learns, has fixed features, and starts from a seed."""

import json

import pytest
import torch
from sklearn.datasets import load_digits

from fastgan import noise
from fastgan.models import ClassifierHead, Discriminator, SmallClassifier


def _digits():
    digits = load_digits()
    x = torch.from_numpy(digits.images).float()[:, None] / 8 - 1
    y = torch.from_numpy(digits.target).long()
    order = torch.from_numpy(noise.permutation(0, noise.Stream.TEST, 0, len(y)))
    return x[order[:1200]], y[order[:1200]], x[order[1200:]], y[order[1200:]]


def _train(model, parameters, x, y, epochs, rate):
    optimiser = torch.optim.Adam(parameters, rate)
    for epoch in range(epochs):
        for batch in torch.from_numpy(noise.permutation(1, noise.Stream.TEST, epoch, len(y))).split(64):
            loss = torch.nn.functional.cross_entropy(model(x[batch]), y[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()


def _accuracy(model, x, y):
    with torch.no_grad():
        return (model.eval()(x).argmax(1) == y).float().mean().item()


def test_learns_digits_in_a_few_epochs():
    x, y, test_x, test_y = _digits()
    model = SmallClassifier((8, 8), 1, 10, width=16).init_weights(0)
    _train(model, model.parameters(), x, y, 6, 3e-3)
    assert _accuracy(model, test_x, test_y) > 0.95


@pytest.mark.parametrize(("size", "channels"), [((8, 8), 1), ((28, 28), 1), ((40, 64), 3), ((64, 64), 4)])
def test_shapes_and_features(size, channels):
    model = SmallClassifier(size, channels, 7, width=4).eval()
    x = torch.rand(3, channels, *size) * 2 - 1
    features = model.features(x)
    assert features.shape == (3, 16) and features.dtype == torch.float32
    torch.testing.assert_close(model(x), model.head(features))
    torch.testing.assert_close(model.features(x[1:2])[0], features[1])
    assert model.double().features(x.double()).dtype == torch.float32


def test_config_and_seed_rebuild_it():
    model = SmallClassifier((28, 28), 1, 10, width=4).init_weights(3)
    twin = SmallClassifier(**json.loads(json.dumps(model.config))).init_weights(3)
    for a, b in zip(model.state_dict().values(), twin.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert 0.8 < model.main[2].conv.weight.std() / (2 / (4 * 9)) ** 0.5 < 1.2


def test_misuse_is_one_sentence():
    with pytest.raises(ValueError, match="at least 8x8, got 7x28"):
        SmallClassifier((7, 28), 1, 10)
    with pytest.raises(ValueError, match="num_classes must be at least 2, got 1"):
        SmallClassifier((28, 28), 1, 1)
    with pytest.raises(ValueError, match=r"x must be \[N, C=1, H=28, W=28\], got \[2, 3, 28, 28\]"):
        SmallClassifier((28, 28), 1, 10)(torch.zeros(2, 3, 28, 28))


@pytest.mark.parametrize("preset", ["keras", "dcgan"])
def test_head_learns_while_the_discriminator_stays_as_it_was(preset):
    x, y, test_x, test_y = _digits()
    discriminator = Discriminator((8, 8), 1, width=16, preset=preset).init_weights(1)
    before = {name: value.clone() for name, value in discriminator.state_dict().items()}
    head = ClassifierHead(discriminator, 10)
    _train(head, head.linear.parameters(), x, y, 6, 1e-2)
    assert _accuracy(head, test_x, test_y) > 0.85
    for model in (discriminator, head.discriminator):
        for name, value in model.state_dict().items():
            assert torch.equal(value, before[name]), name
    assert discriminator.training and all(p.requires_grad for p in discriminator.parameters())


def test_the_discriminator_of_a_head_never_trains():
    head = ClassifierHead(Discriminator((16, 16), 1, width=4, preset="dcgan"), 3)
    before = {name: value.clone() for name, value in head.discriminator.state_dict().items()}
    head.train()(torch.randn(4, 1, 16, 16)).sum().backward()
    for name, value in head.discriminator.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert head.standardise.training and head.linear.weight.grad is not None


def test_head_uses_the_taps_it_was_given():
    discriminator = Discriminator((32, 32), 3, width=4)
    assert ClassifierHead(discriminator, 5).linear.in_features == (4 + 8) * 4
    assert ClassifierHead(discriminator, 5, ["down2"], grid=1).linear.in_features == 8
    with pytest.raises(ValueError, match="taps must be among down1, down2, got 'down3'"):
        ClassifierHead(discriminator, 5, ["down3"])
    with pytest.raises(ValueError, match="num_classes must be at least 2"):
        ClassifierHead(discriminator, 1)
