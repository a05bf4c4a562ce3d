"""What a frozen generator gives: the model's images within the error rule, and exactly their pixels."""

import copy

import pytest
import torch
from frozen_models import MODELS, inputs, make
from support.tolerances import assert_as_good_as

import fastgan
from fastgan import backends
from fastgan.models import to_uint8


@pytest.mark.parametrize("name", MODELS)
def test_images_are_the_models(name, each_arithmetic):
    model = make(name)
    arguments = inputs(model, 5)
    with backends.use_backend("reference"):
        stock = model(*arguments)
        exact = copy.deepcopy(model).double()(arguments[0].double(), *arguments[1:])
    frozen = fastgan.freeze(model)
    images = frozen(*arguments)
    assert exact.std() > 0.05 and exact.abs().max() > 0.3  # not all one grey: the comparison means something
    assert_as_good_as(images, stock, exact)
    assert images.permute(0, 2, 3, 1).is_contiguous()


@pytest.mark.parametrize("name", ["keras 28x28x1, ten classes", "dcgan 64x64x3"])
def test_pixels_are_to_uint8_of_the_images(name, each_arithmetic):
    model = make(name)
    arguments = inputs(model, 70)
    pixels = fastgan.freeze(model, output="uint8")(*arguments)
    assert torch.equal(pixels, to_uint8(fastgan.freeze(model)(*arguments)))
    assert pixels.is_contiguous() and len(pixels.unique()) > 60


def test_a_label_chooses_its_rows(each_arithmetic):
    model = make("keras 28x28x1, ten classes")
    z = inputs(model, 1)[0].expand(10, -1)
    frozen = fastgan.freeze(model)
    together = frozen(z, torch.arange(10))
    alone = torch.cat([frozen(z[:1], torch.tensor([c])) for c in range(10)])
    assert torch.equal(together, alone)
    assert len({image.numpy().tobytes() for image in together}) == 10


def test_width_of_a_real_model(each_arithmetic):
    model = make("keras 64x64x3, ten classes", width=64)
    arguments = inputs(model, 2)
    with backends.use_backend("reference"):
        stock = model(*arguments)
        exact = copy.deepcopy(model).double()(arguments[0].double(), *arguments[1:])
    assert_as_good_as(fastgan.freeze(model)(*arguments), stock, exact)


def test_running_statistics_count_whatever_the_mode(each_arithmetic):
    model = make("dcgan 28x28x1, ten classes")
    arguments = inputs(model, 3)
    expected = fastgan.freeze(model)(*arguments)
    model.train()
    model.main[1].eval()
    state = copy.deepcopy(model.state_dict())
    assert torch.equal(fastgan.freeze(model)(*arguments), expected)
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert model.training and model.main[3].training and not model.main[1].training


def test_precision_is_of_convolutions():
    model = make("keras 28x28x1")
    arguments = inputs(model, 3)
    exact = fastgan.freeze(model)(*arguments)
    for precision, least, most in (("fp16", 1e-6, 1e-2), ("bf16", 1e-4, 1e-1)):
        with backends.record() as runs:
            images = fastgan.freeze(model, precision=precision)(*arguments)
        assert images.dtype == torch.float32 and [run.backend for run in runs] == ["reference"]
        assert least < (images - exact).abs().max() < most
