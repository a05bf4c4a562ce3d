"""Frozen generators on a real GPU by the cuda backend: numbers, bytes whatever the batch, and graphs."""

import copy
from concurrent.futures import ThreadPoolExecutor

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
    first = frozen(*arguments)
    assert list(frozen._graphs._kept.values()) == [None]
    recorded = frozen(*arguments)
    torch.cuda.set_sync_debug_mode("error")
    try:
        again = frozen(*arguments)
        other = frozen(arguments[0] * 2, *arguments[1:])
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.equal(recorded, first) and torch.equal(again, first)
    assert not torch.equal(other, first)  # and what was given before is not written to again
    assert len(frozen._graphs._kept) == 1


def test_a_derivative_is_refused(model):
    frozen = fastgan.freeze(model).cuda()
    z, *labels = inputs(model, 4)
    for _ in range(3):  # at once, by the graph that it would be, and by the one that is there
        with pytest.raises(RuntimeError):
            frozen(z.clone().requires_grad_(), *labels).sum().backward()
        frozen(z, *labels)
    assert not frozen._graphs._kept.popitem()[1].z.requires_grad


def test_a_graph_of_inference_mode_serves_outside_of_it(model):
    frozen = fastgan.freeze(model).cuda()
    arguments = inputs(model, 4)
    with torch.inference_mode():
        first, recorded = frozen(*arguments), frozen(*arguments)
    assert torch.equal(frozen(*arguments), first) and torch.equal(recorded, first)


def test_two_generators_record_at_once(model):
    """Each from a thread and a stream of its own."""
    z, *labels = inputs(model, 4)

    def images(frozen) -> list[torch.Tensor]:
        with torch.cuda.stream(torch.cuda.Stream()):
            made = [frozen(z, *labels) for _ in range(4)]
            torch.cuda.current_stream().synchronize()
        return made

    expected = fastgan.freeze(model).cuda()(z, *labels)
    torch.cuda.synchronize()
    with ThreadPoolExecutor(4) as pool:
        for made in pool.map(images, [fastgan.freeze(model).cuda() for _ in range(8)]):
            assert all(torch.equal(each, expected) for each in made)


def test_data_parallel_gives_the_same_images(need, model):
    need(None if torch.cuda.device_count() > 1 else "torch sees one CUDA device", "gpus")
    frozen = fastgan.freeze(model).cuda()
    arguments = inputs(model, 6)
    expected = frozen(*arguments)
    parallel = torch.nn.DataParallel(frozen)
    for _ in range(3):
        assert torch.equal(parallel(*arguments), expected)


def test_every_device_has_its_graphs(need, model):
    need(None if torch.cuda.device_count() > 1 else "torch sees one CUDA device", "gpus")
    arguments = inputs(model, 4)
    expected = fastgan.freeze(model).cuda()(*arguments)
    for device in range(torch.cuda.device_count()):
        there = fastgan.freeze(model).to(f"cuda:{device}")
        for _ in range(3):  # whatever device is the current one
            assert torch.equal(there(*(each.to(f"cuda:{device}") for each in arguments)).to("cuda:0"), expected)


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


@pytest.mark.parametrize("called", [True, False], ids=["called before", "first call"])
def test_can_be_captured_in_somebody_elses_graph(model, called):
    frozen = fastgan.freeze(model, "uint8").cuda()
    arguments = inputs(model, 4)
    expected = (frozen if called else fastgan.freeze(model, "uint8").cuda())(*arguments)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = frozen(*arguments)
    assert torch.equal(frozen(*arguments), expected)  # needs nothing that the graph has yet to make
    graph.replay()
    torch.cuda.synchronize()
    assert torch.equal(captured, expected)
