"""Micro suite for pytest-benchmark (`make bench-micro`): the smallest pieces, to see where a millisecond went.

Absolute times: compare runs of one machine with `pytest-benchmark compare`. `fastgan bench` compares engines.
"""

import pytest
import torch

from fastgan import functional, losses
from fastgan.frozen import freeze
from fastgan.models import Discriminator, Generator


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("samples", [1, 16])
def test_frozen_generator(benchmark, samples):
    frozen = freeze(Generator())
    z = torch.randn(samples, 100)
    with torch.inference_mode():
        benchmark(frozen, z)


@pytest.mark.parametrize("inner, side", [(512, 4), (256, 8), (128, 16)])
def test_transposed_convolution(benchmark, inner, side):
    x = torch.randn(16, inner, side, side).contiguous(memory_format=torch.channels_last)
    weight, rows = torch.randn(inner, inner // 2, 4, 4), torch.ones(1, inner)
    geometry = {"stride": 2, "padding": 1, "activation": "leaky_relu", "negative_slope": 0.3}
    with torch.inference_mode():
        benchmark(functional.affine_act_conv_transpose2d, x, weight, None, rows, rows, **geometry)


def test_smallest_call(benchmark):
    """What a call costs before it computes anything."""
    x, weight = torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 1, 1)
    with torch.inference_mode():
        benchmark(functional.affine_act_conv2d, x, weight, statistics=False)


@pytest.mark.parametrize("family", ["non_saturating", "hinge", "rpgan"])
def test_gan_loss(benchmark, family):
    real, fake = torch.randn(64, 1), torch.randn(64, 1)
    benchmark(losses.gan_loss, real, fake, family=family)


def test_discriminator_gradients(benchmark):
    discriminator, x = Discriminator(), torch.randn(8, 3, 64, 64)
    benchmark(lambda: discriminator(x).sum().backward())
