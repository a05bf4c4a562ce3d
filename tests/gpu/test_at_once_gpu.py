"""What neither the host shim nor the emulator can see: blocks that run at once, streams, threads, a second device.

Every body runs on the CPU too, in a dry run of the day, where it shows that it is right itself.
"""

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from support import device_work
from support.device_work import SUMS, Work
from support.tolerances import assert_as_good_as
from torch import Tensor

from fastgan import backends

pytestmark = pytest.mark.gpu
stand_in = pytest.mark.stand_in
FROZEN = "frozen generator"
SUM_CASES = [pytest.param(name, each, id=f"{name}-{each}") for name in SUMS for each in SUMS[name].backends]
CASES = [*SUM_CASES, pytest.param(FROZEN, "cuda", id=f"{FROZEN}-cuda")]
# Triton's interpreter changes its own modules while a kernel runs, which two threads cannot do at once.
THREAD_CASES = [
    pytest.param(*case.values, id=case.id, marks=[] if "triton" in case.values else [stand_in]) for case in CASES
]
Tensors = tuple[Tensor, ...]


def rounds(device: torch.device) -> int:
    return 100 if device.type == "cuda" else 2


def blocks(device: torch.device) -> int:
    return device_work.BLOCKS if device.type == "cuda" else device_work.BLOCKS_ON_CPU


@pytest.fixture
def start(need, device):
    """start(name, backend, device) forces the backend; the work, and two draws of its tensors there."""
    with contextlib.ExitStack() as stack:

        def begin(name: str, backend: str, where: torch.device = device) -> tuple[Work, list[Tensors]]:
            work = device_work.frozen_on(where) if name == FROZEN else SUMS[name]
            need(backends.why_not(work.op, backend, where.type, work.dtype), backend)
            stack.enter_context(backends.use_backend(backend))
            return work, [tuple(each.to(where) for each in work.draw(blocks(where), seed)) for seed in (0, 1)]

        yield begin


@pytest.fixture
def second(need, device) -> torch.device:
    """Another GPU; in a dry run the CPU again."""
    if device.type == "cpu":
        return device
    need(None if torch.cuda.device_count() > 1 else "torch sees one CUDA device", "gpus")
    return torch.device("cuda", 1)


def alone(work: Work, drawn: list[Tensors], backend: str) -> list[Tensors]:
    """What each draw gives by itself, by that backend and no other."""
    with backends.record() as runs:
        results = [work.run(*tensors) for tensors in drawn]
    assert {run.backend for run in runs} == {backend}
    synchronise(drawn[0][0].device)
    return results


def differ(results: Tensors, expected: Tensors) -> Tensor:
    """Whether a bit does, without waiting for the device."""
    return torch.stack([(ours != theirs).any() for ours, theirs in zip(results, expected, strict=True)]).any()


def held_against_float64(work: Work, tensors: Tensors, results: Tensors) -> None:
    with backends.use_backend("reference"):
        stock, exact = work.run(*tensors), work.run(*(each.double() for each in tensors))
    for ours, theirs, right in zip(results, stock, exact, strict=True):
        if right.numel() > 1:
            assert_as_good_as(ours.detach(), theirs, right)
        else:  # of one number the error of stock torch is chance
            torch.testing.assert_close(ours.double(), right, rtol=1e-6, atol=0)


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def new_stream(device: torch.device) -> "torch.cuda.Stream | None":
    """One that waits for what was queued so far; None on the CPU."""
    if device.type != "cuda":
        return None
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    return stream


@contextlib.contextmanager
def held_up(device: torch.device) -> Iterator[None]:
    """Streams that begin in this block begin their work when much of it is queued."""
    if device.type == "cuda":
        torch.cuda._sleep(200_000_000)
    yield
    synchronise(device)


@stand_in
@pytest.mark.parametrize(("name", "backend"), SUM_CASES)
def test_sums_are_the_same_every_time(device, start, name, backend):
    """Two draws in turn, in the same memory: a sum read too early would be the other's."""
    work, drawn = start(name, backend)
    expected = alone(work, drawn, backend)
    for tensors, results in zip(drawn, expected, strict=True):
        held_against_float64(work, tensors, results)
    found = [differ(work.run(*drawn[i % 2]), expected[i % 2]) for i in range(2 * rounds(device))]
    assert not any(found), f"{sum(map(bool, found))} of {len(found)} differ"


@stand_in
@pytest.mark.parametrize(("name", "backend"), CASES)
def test_two_streams_at_once(device, start, name, backend):
    work, drawn = start(name, backend)
    expected = alone(work, drawn, backend)
    found = []
    with held_up(device):
        streams = [new_stream(device) for _ in drawn]
        for i in range(2 * rounds(device)):
            with torch.cuda.stream(streams[i % 2]):
                found.append(differ(work.run(*drawn[i % 2]), expected[i % 2]))
    assert not any(found), f"{sum(map(bool, found))} of {len(found)} differ"


@pytest.mark.parametrize("streams", ["one-stream", "own-streams"])
@pytest.mark.parametrize(("name", "backend"), THREAD_CASES)
def test_two_threads_at_once(device, start, name, backend, streams):
    work, drawn = start(name, backend)
    expected = alone(work, drawn, backend)
    together = threading.Barrier(2, timeout=60)

    def run(thread: int) -> list[Tensor]:
        with torch.cuda.stream(new_stream(device) if streams == "own-streams" else None):
            together.wait()
            return [differ(work.run(*drawn[thread]), expected[thread]) for _ in range(rounds(device))]

    with ThreadPoolExecutor(2) as pool:
        found = [flag for flags in pool.map(run, range(2)) for flag in flags]
    synchronise(device)
    assert not any(found), f"{sum(map(bool, found))} of {len(found)} differ"


@stand_in
@pytest.mark.parametrize(("name", "backend"), CASES)
def test_a_second_device(device, second, start, name, backend):
    """That is not the current one: results are there, and where both are the same kind the same bits."""
    by_device = []
    for where in (device, second):
        work, drawn = start(name, backend, where)
        (results,) = alone(work, drawn[:1], backend)
        assert {each.device for each in results} == {drawn[0][0].device}
        if name != FROZEN:
            held_against_float64(work, drawn[0], results)
        by_device.append(results)
    names = {torch.cuda.get_device_name(each) if each.type == "cuda" else "" for each in (device, second)}
    if len(names) == 1:
        for here, there in zip(*by_device, strict=True):
            assert torch.equal(here.cpu(), there.cpu())
