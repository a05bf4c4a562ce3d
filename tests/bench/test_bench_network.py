"""The benchmarked networks: our models' own layers, built alike by every engine, and their operations counted."""

import numpy as np
import pytest
import torch
from fastgan.bench import machine
from fastgan.bench.engines import nhwc
from fastgan.bench.engines.ours import load
from fastgan.bench.network import discriminator_layers, flops, fold, generator_layers, random_arrays
from fastgan.bench.roofline import fraction, generator_flops, mark, step_flops
from fastgan.bench.stock import build

from fastgan.models import Discriminator, Generator


@pytest.mark.parametrize("classes", [0, 10])
@pytest.mark.parametrize("size", [(64, 64), (28, 28), (16, 32)])
def test_the_generator_is_ours(size, classes):
    layers = generator_layers(size, width=8, classes=classes)
    stock = build(layers, random_arrays(layers, 0)).eval()
    model = Generator(size, width=8, num_classes=classes)
    load(model, stock)
    inputs = [torch.randn(3, 100), *([torch.tensor([0, 9, 4])] if classes else [])]
    with torch.inference_mode():
        torch.testing.assert_close(model.eval()(*inputs), stock(*inputs))


@pytest.mark.parametrize("size", [(64, 64), (28, 28)])
def test_the_discriminator_is_ours(size):
    layers = discriminator_layers(size, 1, 8)
    stock, model = build(layers, random_arrays(layers, 0)), Discriminator(size, 1, width=8)
    load(model, stock)
    x = torch.randn(3, 1, *size)
    torch.testing.assert_close(model(x), stock(x).flatten())


@pytest.mark.parametrize("classes", [0, 10])
def test_folding_takes_every_batch_norm_and_changes_nothing(classes):
    layers = generator_layers((16, 16), width=8, classes=classes)
    arrays = random_arrays(layers, 0)
    folded, weights = fold(layers, arrays)
    assert not [layer for layer in folded if layer["kind"] == "batch_norm"]
    inputs = [torch.randn(3, 100), *([torch.tensor([0, 9, 4])] if classes else [])]
    with torch.inference_mode():
        torch.testing.assert_close(build(folded, weights).eval()(*inputs), build(layers, arrays).eval()(*inputs))


def test_images_say_something():
    """Neither grey nor black and white: a gate would be green for anything."""
    layers = generator_layers()
    with torch.inference_mode():
        images = build(layers, random_arrays(layers, 0)).eval()(torch.randn(4, 100))
    assert 0.2 < images.std() < 0.8


def test_an_image_takes_0_209_gflop():
    layers = generator_layers()
    assert generator_flops(layers) == 209_256_448
    convolutions = [layer for layer in layers if layer["kind"] == "conv_transpose"]
    assert round(flops(convolutions) / 1e9, 3) == 0.208
    assert flops(convolutions) == 2 * 16 * (16 * 512 * 256 + 64 * 256 * 128 + 256 * 128 * 64 + 1024 * 64 * 3)


def test_operations_of_a_step():
    g, d = generator_layers(), discriminator_layers()
    plain, with_r1 = (step_flops(g, d, r1) for r1 in (False, True))
    assert with_r1 - plain == 3 * flops(d)
    assert 3 * flops(g) < plain < 3 * flops(g) + 9 * flops(d)


def test_the_roofline_needs_a_peak():
    assert fraction(1000, 10**8, {"fma_gflops": 200.0}) == pytest.approx(0.5)
    assert fraction(1000, 10**8, {"fma_gflops": None}) is None


def test_a_share_follows_the_highest_peak_that_was_seen(monkeypatch):
    peaks = iter((150.0, 90.0))
    monkeypatch.setattr(machine, "fma_gflops", lambda threads, tries: next(peaks))
    facts = {"fma_gflops": 100.0, "threads": 1}
    record = {"img_per_s": {"p50": 1000.0}, "gflop_per_image": 0.06, "machine": facts}
    shares = []
    for _ in range(2):
        mark(record)
        shares.append(record["roofline_fraction"])
        machine.look_again(facts)
    mark(record)
    assert [*shares, record["roofline_fraction"]] == pytest.approx([0.6, 0.4, 0.4])


@pytest.mark.parametrize(
    ("layers", "convolution", "channels"),
    [
        (generator_layers((16, 16), width=8), "4.weight", (16, 8)),
        (discriminator_layers((16, 16)), "2.weight", (64, 128)),
    ],
    ids=["generator", "discriminator"],
)
def test_weights_come_back_from_the_other_order(layers, convolution, channels):
    arrays = {f"g/{name}": array for name, array in random_arrays(layers, 0).items()}
    trained, kept = nhwc.split(arrays, "g/", layers)
    assert all("running" in name for name in kept)
    for name, array in trained.items():
        np.testing.assert_array_equal(nhwc.torchs(name, array, layers), arrays[f"g/{name}"])
    assert trained[convolution].shape == (4, 4, *channels)
