"""Frozen generators on a real GPU by the cuda backend: numbers, bytes whatever the batch, and graphs."""

import copy

import pytest
import torch
from support.tolerances import assert_as_good_as

import fastgan
from fastgan import backends
from fastgan.models import Generator

pytestmark = pytest.mark.gpu

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@pytest.fixture(autouse=True)
def by_cuda(need):
    need(backends.why_not("frozen_generator", "cuda", "cuda", torch.float32), "cuda")
    with backends.use_backend("cuda"):
        yield


@pytest.fixture(params=[0, 10], ids=["unconditional", "ten-classes"])
def model(request) -> Generator:
    torch.manual_seed(0)
    return Generator(size=(32, 32), channels=3, width=16, num_classes=request.param).eval()


def inputs(model, count: int) -> tuple[torch.Tensor, ...]:
    z = torch.randn(count, 100, generator=torch.Generator().manual_seed(1)).cuda()
    return (z, torch.arange(count, device="cuda") % model.num_classes) if model.num_classes else (z,)


@pytest.mark.parametrize("precision", DTYPES)
def test_images_are_the_models(model, precision):
    arguments = inputs(model, 5)
    frozen = fastgan.freeze(model, precision=precision).cuda()
    ours = frozen(*arguments).to(DTYPES[precision])
    with backends.use_backend("reference"):
        stock = frozen(*arguments).to(DTYPES[precision])
        z, *labels = (each.cpu() for each in arguments)
        exact = copy.deepcopy(model).double().cpu()(z.double(), *labels)
    assert_as_good_as(ours.cpu(), stock.cpu(), exact)


@pytest.mark.parametrize("output", ["float", "uint8"])
@pytest.mark.parametrize("precision", [*DTYPES, "tf32"])
def test_batch_size_changes_no_byte(model, precision, output):
    frozen = fastgan.freeze(model, output, precision=precision).cuda()
    arguments = inputs(model, 600)
    whole = frozen(*arguments)
    for count in (0, 1, 7, 64, 256, 257):
        assert torch.equal(frozen(*(each[600 - count :] for each in arguments)), whole[600 - count :])


def test_a_graph_is_recorded_once_and_replayed(model):
    frozen = fastgan.freeze(model).cuda()
    arguments = inputs(model, 8)
    expected = frozen._by_cuda(frozen._rows(arguments[0]), *arguments[1:] or (None,))
    first = frozen(*arguments)
    torch.cuda.set_sync_debug_mode("error")
    try:
        again = frozen(*arguments)
        other = frozen(arguments[0] * 2, *arguments[1:])
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.equal(first, expected) and torch.equal(again, expected)
    assert not torch.equal(other, expected)  # and what was given before is not written to again
    assert len(frozen._graphs._kept) == 1


def test_runs_on_the_current_stream(model):
    frozen = fastgan.freeze(model).cuda()
    z, *labels = inputs(model, 4)
    expected, late = frozen(z, *labels), torch.zeros_like(z)
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        frozen(late, *labels)
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(200_000_000)
        late.copy_(z)
        images = frozen(late, *labels)
    stream.synchronize()
    assert torch.equal(images, expected)


def test_can_be_captured_in_somebody_elses_graph(model):
    frozen = fastgan.freeze(model, "uint8").cuda()
    arguments = inputs(model, 4)
    expected = frozen(*arguments)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = frozen(*arguments)
    graph.replay()
    torch.cuda.synchronize()
    assert torch.equal(captured, expected)
