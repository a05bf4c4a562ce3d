"""Frozen generators by the operator itself, without a CUDA graph: each kernel is a launch that compute-sanitizer sees.

Weights are packed and workspaces allocated anew for each call. Results are held against float64 on the CPU.
"""

import copy

import pytest
import torch
from support.tolerances import assert_as_good_as
from torch import nn

import fastgan
from fastgan import backends
from fastgan.models import Generator
from fastgan.ops.frozen_generator import frozen_generator, pack_for_cuda
from fastgan.reference.frozen_generator import PRECISIONS, encode

pytestmark = [pytest.mark.gpu, pytest.mark.stand_in]
IMAGES = 5  # of which no tile is full
WIDE = torch.float64


@pytest.fixture(params=[0, 10], ids=["unconditional", "ten-classes"])
def model(request) -> Generator:
    """Weights that keep numbers around 1, so that images are not all of one grey."""
    made = Generator(size=(32, 32), channels=3, width=16, num_classes=request.param).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    for module in made.modules():
        if isinstance(module, nn.Linear | nn.ConvTranspose2d):
            terms = module.in_features if isinstance(module, nn.Linear) else 4 * module.in_channels
            module.weight.normal_(0, terms**-0.5, generator=generator)
    return made


def run(frozen, precision: str, output: str, device: torch.device, z, c) -> torch.Tensor:
    """The images of rows z and labels c."""
    tensors = [each.to(device) for each in frozen.tensors()]
    z, c = z.to(device), None if c is None else c.to(device)
    options = *encode(frozen.plan.steps), (frozen.channels, *frozen.size), output, precision, True
    with backends.use_backend("cuda"), backends.record() as runs:
        packed = pack_for_cuda(tensors, frozen.plan.steps, precision)
        images = frozen_generator(z, c, tensors, packed, *options)
    assert [each.backend for each in runs] == ["cuda"]
    return images.cpu()


def inputs(model: Generator) -> tuple[torch.Tensor, torch.Tensor | None]:
    z = torch.randn(IMAGES, 100, generator=torch.Generator().manual_seed(1))
    return z, torch.arange(IMAGES) % model.num_classes if model.num_classes else None


@pytest.mark.parametrize("precision", [each for each in PRECISIONS if each != "tf32"])
def test_images_without_a_graph(need, device, model, precision):
    dtype = PRECISIONS[precision]
    need(backends.why_not("frozen_generator", "cuda", device.type, dtype), "cuda")
    z, c = inputs(model)
    ours = run(fastgan.freeze(model, precision=precision), precision, "float", device, z, c)
    stock, exact = (copy.deepcopy(model).to(each)(z.to(each), *(() if c is None else (c,))) for each in (dtype, WIDE))
    assert_as_good_as(ours.to(dtype), stock, exact)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_pixels_without_a_graph(need, device, model, precision):
    need(backends.why_not("frozen_generator", "cuda", device.type, PRECISIONS[precision]), "cuda")
    frozen = fastgan.freeze(model, precision=precision)
    maps, pixels = (run(frozen, precision, output, device, *inputs(model)) for output in ("float", "uint8"))
    expected = maps.add(1.0).mul(127.5).round().clamp(0.0, 255.0).to(torch.uint8)
    assert torch.equal(pixels, expected.permute(0, 2, 3, 1))
