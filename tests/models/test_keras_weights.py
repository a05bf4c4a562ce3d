"""Keras weights: our outputs equal those of an independent NumPy model, and wrong arrays are named."""

import numpy as np
import pytest
import torch
from support import keras_numpy as kn

from fastgan.models import Discriminator, Generator
from fastgan.models.keras_weights import load_keras_discriminator, load_keras_generator


def _batch_norm(rng, channels):
    return [
        rng.normal(1, 0.2, channels),
        rng.normal(0, 0.3, channels),
        rng.normal(0, 0.5, channels),
        rng.uniform(0.2, 2, channels),
    ]


def _generator_arrays(rng, z_dim, first_map, features, channels, biases):
    height, width = first_map

    def kernel(*shape):
        return [rng.normal(0, 0.1, shape)] + ([rng.normal(0, 0.3, shape[2] if len(shape) == 4 else shape[1])] * biases)

    arrays = kernel(z_dim, height * width * features[0]) + _batch_norm(rng, height * width * features[0])
    for wide, narrow in zip(features, features[1:], strict=False):
        arrays += kernel(4, 4, narrow, wide) + _batch_norm(rng, narrow)
    return arrays + kernel(4, 4, channels, features[-1])


def _keras_generator(arrays, z, first_map, biases):
    arrays = iter(arrays)

    def kernel():
        return [next(arrays)] + ([next(arrays)] if biases else [])

    def batch_norm(x):
        return kn.leaky_relu(kn.batch_normalization(x, *(next(arrays) for _ in range(4))))

    x = batch_norm(kn.dense(z, *kernel()))
    x = x.reshape(len(z), *first_map, -1)
    size, doublings = first_map[0], {4: 4, 7: 2, 5: 1}[first_map[0]]
    for _ in range(doublings - 1):
        x = batch_norm(kn.conv2d_transpose_same(x, *kernel()))
    x = np.tanh(kn.conv2d_transpose_same(x, *kernel()))
    assert x.shape[1] == size << doublings and next(arrays, None) is None
    return x


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize(("size", "channels"), [((64, 64), 3), ((28, 28), 1), ((10, 14), 4)])
def test_generator_gives_the_images_of_keras(size, channels, biases):
    rng = np.random.default_rng(1)
    generator = Generator(size, channels, z_dim=12, width=2)
    k = {64: 4, 28: 2, 10: 1}[size[0]]
    first_map = (size[0] >> k, size[1] >> k)
    features = [2 << (k - 1 - i) for i in range(k)]
    arrays = _generator_arrays(rng, 12, first_map, features, channels, biases)
    assert load_keras_generator(arrays, generator) is generator
    z = rng.normal(size=(3, 12))
    expected = _keras_generator(arrays, z, first_map, biases)
    assert expected.std() > 0.05
    with torch.no_grad():
        got = generator.eval()(torch.from_numpy(z).float()).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize(("size", "channels", "convolutions"), [((64, 64), 3, 3), ((28, 28), 1, 2), ((32, 40), 2, 2)])
def test_discriminator_gives_the_logits_of_keras(size, channels, convolutions, biases):
    rng = np.random.default_rng(2)
    discriminator = Discriminator(size, channels, width=3)
    arrays, features = [], channels
    for i in range(convolutions):
        arrays.append(rng.normal(0, 0.2, (4, 4, features, 3 << i)))
        features = 3 << i
        if biases:
            arrays.append(rng.normal(0, 0.3, features))
    rows, columns = size[0] >> convolutions, size[1] >> convolutions
    arrays.append(rng.normal(0, 0.2, (rows * columns * features, 1)))
    if biases:
        arrays.append(rng.normal(0, 0.3, 1))
    load_keras_discriminator(arrays, discriminator)

    x = rng.uniform(-1, 1, (4, *size, channels))
    h, rest = x, iter(arrays)
    for _ in range(convolutions):
        h = kn.leaky_relu(kn.conv2d_same(h, next(rest), next(rest) if biases else None))
    expected = kn.dense(h.reshape(4, -1), next(rest), next(rest) if biases else None)[:, 0]
    with torch.no_grad():
        got = discriminator(torch.from_numpy(x).float().permute(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_wrong_arrays_are_named_and_change_nothing():
    generator = Generator((8, 8), 1, z_dim=5, width=4)
    before = [p.clone() for p in generator.parameters()]
    rng = np.random.default_rng(3)
    good = _generator_arrays(rng, 5, (4, 4), [4], 1, False)
    cases = [
        ([good[0].T, *good[1:]], r"array 0 must be the Dense kernel \[5, 64\], got \[64, 5\]"),
        (
            [*good[:3], good[3][:-1], *good[4:]],
            r"array 3 must be the BatchNormalization moving_mean \[64\], got \[63\]",
        ),
        (
            [*good[:5], good[5].transpose(0, 1, 3, 2)],
            r"array 5 must be the Conv2DTranspose kernel \[4, 4, 1, 4\]",
        ),
        (good[:5], "array 5 must be .* got only 5 arrays"),
        ([*good, np.zeros(1), np.zeros((2, 2))], r"arrays must be 7 .* got 8; .* array 7 of shape \[2, 2\]"),
    ]
    for arrays, message in cases:
        with pytest.raises(ValueError, match=message):
            load_keras_generator(arrays, generator)
    for old, new in zip(before, generator.parameters(), strict=True):
        assert torch.equal(old, new)


def test_models_that_have_no_keras_twin_are_refused():
    with pytest.raises(ValueError, match="num_classes=0"):
        load_keras_generator([], Generator((8, 8), 1, num_classes=3, width=4))
    with pytest.raises(ValueError, match="preset 'keras', got 'dcgan'"):
        load_keras_discriminator([], Discriminator((8, 8), 1, width=4, preset="dcgan"))
    with pytest.raises(ValueError, match="divisible by 4"):
        load_keras_discriminator([], Discriminator((10, 10), 1, width=4))
