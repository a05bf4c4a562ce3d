"""Frozen generators by the CUDA kernels on the CPU: precisions, chunks, labels that no table has, packing, `auto`."""

import pytest
import torch
from frozen_models import inputs, make
from support import cuda_host
from support.tolerances import assert_as_good_as
from torch import nn

import fastgan
from fastgan import backends, tuned
from fastgan.nn import ConditionalBatchNorm1d

pytestmark = pytest.mark.cuda_host

CONDITIONAL = "keras 28x28x1, ten classes"
HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@pytest.fixture(params=cuda_host.BACKENDS)
def on_cuda(request):
    """The test runs once under each schedule."""
    with cuda_host.forced(request.param):
        yield


def by_reference(frozen, *arguments):
    with backends.use_backend("reference"):
        return frozen(*arguments)


@pytest.mark.parametrize("precision", HALVES)
@pytest.mark.parametrize("name", ["keras 64x64x3", CONDITIONAL, "dcgan 64x64x3"])
def test_halves_are_as_good_as_stock_torchs(name, precision, on_cuda):
    model = make(name)
    arguments = inputs(model, 3)
    frozen, exact = fastgan.freeze(model, precision=precision), fastgan.freeze(model)
    ours, stock = frozen(*arguments), by_reference(frozen, *arguments)
    dtype = HALVES[precision]
    assert_as_good_as(ours.to(dtype), stock.to(dtype), by_reference(exact, *arguments).double())


@pytest.mark.parametrize("name", ["keras 64x64x3", CONDITIONAL])
def test_tf32_rounds_products_and_nothing_else(name, on_cuda):
    model = make(name)
    arguments = inputs(model, 3)
    exact = by_reference(fastgan.freeze(model), *arguments)
    ours = fastgan.freeze(model, precision="tf32")(*arguments)
    error = (ours - exact).norm() / exact.norm()
    assert 1e-5 < error < 2e-3
    assert torch.equal(by_reference(fastgan.freeze(model, precision="tf32"), *arguments), exact)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("output", ["float", "uint8"])
def test_pixels_and_images_of_another_number_are_the_same(output, precision, on_cuda):
    """More images than are computed at a time."""
    layers = (
        nn.Linear(6, 32),
        nn.LeakyReLU(0.2),
        nn.Unflatten(1, (8, 2, 2)),
        nn.ConvTranspose2d(8, 3, 4, 2, 1),
        nn.Tanh(),
    )
    model = nn.Sequential(*layers)
    frozen = fastgan.freeze(model, output, precision=precision)
    z = torch.randn(300, 6, generator=torch.Generator().manual_seed(0))
    whole = frozen(z)
    for first, count in ((0, 1), (250, 20), (299, 1), (7, 256)):
        assert torch.equal(frozen(z[first : first + count]), whole[first : first + count])
    assert frozen(z[:0]).shape == (0, *whole.shape[1:])
    if output == "uint8":
        floats = fastgan.freeze(model, precision=precision)(z)
        assert torch.equal(whole, ((floats + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1))


class Features(nn.Module):
    """Ends in a flat vector behind tables by label of one row each number: passes that no convolution takes along."""

    def __init__(self):
        super().__init__()
        self.linear, self.bn = nn.Linear(5, 12), ConditionalBatchNorm1d(12, 4)

    def forward(self, z, c):
        return torch.tanh(self.bn(self.linear(z), c))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_passes_without_a_convolution_behind_them(precision, on_cuda):
    model = Features().eval()
    z, c = torch.randn(9, 5, generator=torch.Generator().manual_seed(0)), torch.arange(9) % 4
    frozen = fastgan.freeze(model, precision=precision)
    dtype = HALVES.get(precision, torch.float32)
    stock, exact = by_reference(frozen, z, c), by_reference(fastgan.freeze(model), z, c)
    assert_as_good_as(frozen(z, c).to(dtype), stock.to(dtype), exact.double())


@pytest.mark.parametrize("output", ["float", "uint8"])
def test_a_label_that_no_table_has_spoils_its_own_image_alone(output, on_cuda):
    """The host cannot look at labels on a device: what is read instead must not lie outside the tables."""
    frozen = fastgan.freeze(make(CONDITIONAL), output)
    z, c = inputs(frozen, 5)
    expected = frozen(z, c)
    bad = c.clone()
    bad[1], bad[3] = 10, -1
    program, slopes = frozen._program
    packed = frozen._packed_for_cuda
    options = program, slopes, [1, 28, 28], output == "uint8", 0
    got = torch.ops.fastgan_cuda_host.frozen_generator(z, bad, frozen.tensors(), packed, *options)
    assert torch.equal(got[::2], expected[::2])
    assert (got[1::2] == 0).all() if output == "uint8" else got[1::2].isnan().all()


def test_an_index_outside_the_row_is_not_followed(on_cuda):
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Unflatten(1, (8, 1, 2)), nn.Conv2d(8, 2, 1))
    frozen = fastgan.freeze(model.eval(), input_shape=(3, 2, 2))
    frozen.index1[3] = 16
    assert frozen(torch.randn(2, 3, 2, 2)).isnan().flatten(1).any(1).all()


def test_weights_are_packed_once(on_cuda):
    frozen = fastgan.freeze(make(CONDITIONAL))
    arguments = inputs(frozen, 1)
    assert frozen._packed_for_cuda is None
    frozen(*arguments)
    packed = frozen._packed_for_cuda
    frozen(*arguments)
    assert frozen._packed_for_cuda is packed
    frozen.load_state_dict(frozen.state_dict())
    assert frozen._packed_for_cuda is None


def test_auto_never_takes_it():
    with tuned.using(None):
        assert backends.choose("frozen_generator", "cuda", torch.float32) == "reference"
    with cuda_host.switched_on(), backends.record() as runs:
        frozen = fastgan.freeze(make(CONDITIONAL))
        frozen(*inputs(frozen, 1))
    assert "cuda" not in {run.backend for run in runs}


def test_a_replica_computes_with_numbers_of_its_own(on_cuda):
    """As DataParallel makes one on another device, behind a call of the original's."""
    model = make("keras 28x28x1")
    arguments = inputs(model, 2)
    frozen = fastgan.freeze(model)
    images = frozen(*arguments)
    replica = frozen._replicate_for_data_parallel()
    for name in frozen.plan.names:
        replica._buffers[name] = torch.zeros_like(frozen._buffers[name])
    assert not replica(*arguments).any()
    assert torch.equal(frozen(*arguments), images)


def test_a_first_call_in_inference_mode_leaves_numbers_for_all(on_cuda):
    model = make("keras 28x28x1")
    arguments = inputs(model, 2)
    frozen = fastgan.freeze(model)
    with torch.inference_mode():
        images = frozen(*arguments)
    assert not any(packed.is_inference() for packed in frozen._packed_for_cuda)
    assert torch.equal(frozen(*arguments), images)
