"""Other people's modules: reshapes, functions, wrappers, parametrised weights and fused models are followed."""

import copy

import pytest
import torch
import torch.nn.functional as F
from frozen_models import inputs, make, used
from support.tolerances import assert_as_good_as
from torch import nn
from torch.nn.utils import parametrizations, spectral_norm

import fastgan
from fastgan import backends
from fastgan.nn import ConditionalBatchNorm1d, ConvBnAct2d
from fastgan.reference.frozen_generator import Activation, Affine, Convolution, Permutation

pytestmark = pytest.mark.usefixtures("each_arithmetic")

UP = {"kernel_size": 4, "stride": 2, "padding": 1}


def check(model: nn.Module, *arguments: torch.Tensor, **options) -> list[type]:
    """Hold the frozen `model` against the model; returns the classes of its steps."""
    model = used(model)
    frozen = fastgan.freeze(model, **options)
    with backends.use_backend("reference"):  # the model's, and not of its chain what the frozen one is run by
        exact = copy.deepcopy(model).double()(arguments[0].double(), *arguments[1:])
        stock = model(*arguments)
    assert_as_good_as(frozen(*arguments), stock, exact)
    return [type(step) for step in frozen.plan.steps]


def latents(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


class Viewed(nn.Module):
    """Features in the order C, H, W behind a linear map, batch norm of the map, functions with constant arguments."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(20, 16 * 2 * 3)
        self.bn = nn.BatchNorm2d(16)
        self.up = nn.ConvTranspose2d(16, 8, 3, 2, 1, output_padding=1)
        self.drop = nn.Dropout(0.5)
        self.weight = nn.Parameter(torch.randn(3, 8, 3, 3))

    def forward(self, z):
        x = self.linear(z).view(z.size(0), 16, 2, 3)
        x = F.leaky_relu(self.bn(x), 0.1)
        x = F.dropout(self.drop(F.relu(self.up(x))), 0.5, self.training)
        return F.conv2d(x, self.weight * 0.1, padding=1).tanh()


def test_order_of_features_is_folded_into_the_linear_map():
    steps = check(Viewed(), latents(5, 20))
    assert steps == [Convolution, Activation] * 3  # also both batch norms, if there is one


class Shuffled(nn.Module):
    """A pixel shuffle written out behind a convolution, and one in front of a linear map."""

    def __init__(self):
        super().__init__()
        self.bn = nn.BatchNorm2d(5)
        self.up = nn.ConvTranspose2d(5, 12, **UP)
        self.conv = nn.Conv2d(3, 4, 3, padding="same")
        self.linear = nn.Linear(4 * 12 * 20, 7)

    def forward(self, z):
        x = self.up(torch.relu(self.bn(z)))
        n, c, h, w = x.shape
        x = x.reshape(n, c // 4, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3).reshape(n, c // 4, 2 * h, 2 * w)
        return self.linear(torch.flatten(torch.tanh(self.conv(x)), 1))


def test_a_permutation_that_nothing_can_take_is_a_step():
    steps = check(Shuffled(), latents(5, 5, 3, 5), input_shape=(5, 3, 5))
    assert steps == [Affine, Activation, Convolution, Permutation, Convolution, Activation, Convolution]


def test_conditional_features_in_the_order_c_h_w():
    class Labelled(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(6, 24)
            self.bn = ConditionalBatchNorm1d(24, 3)
            self.block = ConvBnAct2d(6, 4, 3, padding=1, activation="relu", num_classes=3)

        def forward(self, z, c):
            return torch.tanh(self.block(F.leaky_relu(self.bn(self.linear(z), c), 0.2).unflatten(1, (6, 2, 2)), c))

    assert Permutation not in check(Labelled(), latents(7, 6), torch.arange(7) % 3)


@pytest.mark.parametrize("kernel", [(4, 4), (3, 5)])
@pytest.mark.parametrize(("padding", "output_padding"), [((0, 0), (0, 0)), ((1, 1), (1, 0)), ((0, 1), (0, 2))])
def test_a_transposed_convolution_of_one_pixel_is_a_linear_map(kernel, padding, output_padding):
    first = nn.ConvTranspose2d(9, 8, kernel, 3, padding, output_padding)
    model = nn.Sequential(first, nn.BatchNorm2d(8), nn.ReLU(), nn.ConvTranspose2d(8, 3, **UP), nn.Tanh())
    check(model, latents(4, 9, 1, 1))
    step = fastgan.freeze(model).plan.steps[0]
    assert (step.source, step.kernel) == ((1, 1, 9), (1, 1))


@pytest.mark.parametrize("channels", [1, 7, 16, 17])
def test_a_tanh_or_affine_map_that_no_convolution_takes(channels):
    """Passes of their own: tanh inside, an affine map of features in front of a map of channels, two activations."""
    layers = [nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 4 * channels), nn.Tanh(), nn.BatchNorm1d(4 * channels)]
    layers += [nn.Unflatten(1, (channels, 2, 2)), nn.LeakyReLU(0.3), nn.ReLU(), nn.ConvTranspose2d(channels, 2, **UP)]
    steps = check(nn.Sequential(*layers, nn.Tanh(), nn.BatchNorm2d(2)), latents(3, 6))
    assert steps.count(Affine) == 3


def test_a_batch_norm_of_a_flattened_map_is_not_one_of_its_channels():
    """In the same place in memory: the map has one channel."""
    layers = nn.Conv2d(3, 1, 3, padding=1), nn.Flatten(), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 5)
    steps = check(nn.Sequential(*layers), latents(4, 3, 3, 4), input_shape=(3, 3, 4))
    assert steps == [Convolution, Affine, Activation, Convolution]


def test_batch_norms_in_a_row_are_one():
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.BatchNorm1d(8), nn.BatchNorm1d(8), nn.Linear(8, 5))
    assert check(model, latents(3, 6)) == [Convolution, Activation, Affine, Convolution]


def test_parametrised_and_hooked_weights_are_read_once():
    model = nn.Sequential(
        spectral_norm(nn.Linear(8, 16)),
        nn.ReLU(),
        parametrizations.spectral_norm(nn.Linear(16, 16)),
        nn.Unflatten(1, (4, 2, 2)),
        parametrizations.weight_norm(nn.ConvTranspose2d(4, 3, **UP)),
    )
    model(latents(4, 8))
    with torch.no_grad():
        model[0].weight_orig[:4] *= 3  # the hook makes the weight at the next call; until then it is an old one
    state = copy.deepcopy(model.state_dict())
    images = fastgan.freeze(model)(latents(4, 8))
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert torch.allclose(images, model.eval()(latents(4, 8)), atol=1e-6)


@pytest.mark.parametrize("name", ["keras 28x28x1, ten classes", "dcgan 64x64x3"])
def test_a_fused_model_freezes_to_the_same_bytes(name):
    model = make(name)
    before = fastgan.freeze(model)(*inputs(model, 3))
    fused = fastgan.fuse_(copy.deepcopy(model))
    assert torch.equal(fastgan.freeze(fused)(*inputs(model, 3)), before)


def test_a_fused_forward_is_followed_as_it_was_written():
    model = used(Viewed())
    before = fastgan.freeze(model)(latents(3, 20))
    fused = fastgan.fuse_(model)
    assert torch.equal(fastgan.freeze(fused)(latents(3, 20)), before)
    assert isinstance(fused, Viewed) and fused.training is False


def test_wrappers_are_looked_through():
    model = make("dcgan 64x64x3")
    expected = fastgan.freeze(model)(*inputs(model, 2))
    averaged = torch.optim.swa_utils.AveragedModel(model)
    assert torch.equal(fastgan.freeze(averaged)(*inputs(model, 2)), expected)
    assert torch.equal(fastgan.freeze(nn.DataParallel(model))(*inputs(model, 2)), expected)
