"""The shim itself: small right kernels come out right under every schedule, and each small mistake is named or seen."""

import ctypes
import re
import subprocess
import sys

import pytest
import torch

from . import build, shim_checks

schedules = pytest.mark.parametrize("schedule", shim_checks.SCHEDULES, ids="schedule-{}".format)


@pytest.fixture(scope="module")
def kernels(need) -> ctypes.CDLL:
    need(build.compiler_missing(), "cc")
    return shim_checks.load(build.library("kernels", shim_checks.SOURCES))


@pytest.fixture
def follow(monkeypatch):
    """follow(7): launches from now on have that schedule."""
    return lambda schedule: monkeypatch.setenv("FASTGAN_CUDA_HOST_SCHEDULE", str(schedule))


def pointer(tensor: torch.Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@schedules
@pytest.mark.parametrize("count", [1, 95, 96, 97, 960])
def test_sums_of_blocks_and_their_sum(kernels, follow, schedule, count):
    follow(schedule)
    x, blocks = numbers(count), -(-count // 96)
    partial, counter, total = torch.full((blocks,), float("nan")), torch.zeros(1, dtype=torch.int32), torch.zeros(1)
    tensors = map(pointer, (partial, counter, total))
    assert kernels.fastgan_test_sum(pointer(x), count, blocks, *tensors) is None
    torch.testing.assert_close(total[0].double(), x.double().sum(), rtol=1e-5, atol=1e-5)
    assert counter.item() == blocks


@schedules
def test_shuffles_and_votes(kernels, follow, schedule):
    follow(schedule)
    out = torch.full((8, 32), float("nan"))
    assert kernels.fastgan_test_shuffles(pointer(out)) is None
    lane = torch.arange(32)
    expected = [
        torch.full((32,), 5),
        torch.where(lane >= 3, lane - 3, lane),
        torch.where(lane < 29, lane + 3, lane),
        lane ^ 9,
        lane ^ 1,
        torch.where(lane < 16, lane + 16, lane),
        lane % 2,
    ]
    assert torch.equal(out[:7], torch.stack(expected).float())
    assert torch.equal(out[7, :16], (lane[:16] ^ 15).float()) and out[7, 16:].isnan().all()


@schedules
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["fp16", "bf16"])
def test_products_of_halves(kernels, follow, schedule, dtype):
    follow(schedule)
    a, b, d = numbers(16, 16).to(dtype), numbers(17, 8)[1:].contiguous().to(dtype), torch.full((16, 8), float("nan"))
    name = {torch.float16: "half", torch.bfloat16: "bfloat16"}[dtype]
    assert getattr(kernels, f"fastgan_test_product_{name}")(pointer(a), pointer(b), pointer(d)) is None
    torch.testing.assert_close(d.double(), a.double() @ b.double(), rtol=1e-5, atol=1e-5)


@schedules
def test_products_in_tf32_are_of_rounded_numbers(kernels, follow, schedule):
    follow(schedule)
    a, b, d = numbers(16, 8), numbers(9, 8)[1:].contiguous(), torch.full((16, 8), float("nan"))
    assert kernels.fastgan_test_product_tf32(pointer(a), pointer(b), pointer(d)) is None
    rounded = [((x.view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32).double() for x in (a, b)]
    torch.testing.assert_close(d.double(), rounded[0] @ rounded[1], rtol=1e-5, atol=1e-5)
    assert not torch.allclose(d.double(), a.double() @ b.double(), rtol=1e-5, atol=1e-5)


@schedules
@pytest.mark.parametrize("name", shim_checks.NAMED)
def test_what_is_undefined_is_named_with_block_and_thread(kernels, schedule, name):
    shim_checks.is_named(kernels, name, schedule)


@pytest.mark.parametrize("name", shim_checks.REFUSED)
def test_what_cuda_refuses_is_refused_in_its_words(kernels, name):
    shim_checks.is_refused(kernels, name)
    assert shim_checks.run_wrong(kernels, "missing_barrier", 0)[0] is None, "an error is told once"


@pytest.mark.parametrize("name", shim_checks.SEEN)
def test_what_is_not_waited_for_gives_wrong_numbers(kernels, name):
    shim_checks.is_seen(kernels, name)


def test_a_schedule_is_the_same_every_time(kernels):
    first, second = (shim_checks.run_wrong(kernels, "missing_barrier", 7)[1] for _ in range(2))
    assert torch.equal(first.view(torch.int32), second.view(torch.int32)) and first.isnan().any()


@schedules
def test_threads_take_turns(kernels, schedule):
    shim_checks.threads_take_turns(kernels, schedule)


@pytest.mark.parametrize("word", ["quick", "-1", "2.5"])
def test_a_schedule_that_is_no_number_is_refused(kernels, monkeypatch, word):
    monkeypatch.setenv("FASTGAN_CUDA_HOST_SCHEDULE", word)
    said = kernels.fastgan_test_shuffles(pointer(torch.zeros(256)))
    assert said.decode() == f"FASTGAN_CUDA_HOST_SCHEDULE must be a number such as 0, 2, 4 or 7, got '{word}'"


SANITIZED = """
import ctypes, sys
library = ctypes.CDLL(sys.argv[1])
library.fastgan_test_wrong.restype = ctypes.c_char_p
out = (ctypes.c_float * 256)()
memory = ctypes.CDLL(None)
memory.malloc.restype = ctypes.c_void_p
print(library.fastgan_test_wrong(sys.argv[2].encode(), ctypes.c_void_p(memory.malloc(1024))))
"""


@pytest.fixture(scope="module")
def run_sanitized():
    """run_sanitized(name): a small wrong kernel in a process of its own, under AddressSanitizer and UBSan."""
    library = build.library("kernels_sanitized", shim_checks.SOURCES, sanitize=True)

    def run(name: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-c", SANITIZED, str(library), name]
        return subprocess.run(command, env=build.sanitizer_environment(), capture_output=True, text=True)

    return run


FOUND = {
    "write_past_dynamic": "heap-buffer-overflow",
    "write_past_static": "index 64 out of bounds",
    "write_past_global": "heap-buffer-overflow",
}


@pytest.mark.cuda_host
@pytest.mark.parametrize("name", FOUND)
def test_writes_past_the_end_are_found_by_the_sanitizers(run_sanitized, name):
    done = run_sanitized(name)
    assert done.returncode != 0 and FOUND[name] in done.stderr, done.stderr
    assert re.search(rf"in .*{name}.* .*wrong.cu:\d+", done.stderr), done.stderr


@pytest.mark.cuda_host
@pytest.mark.parametrize("name", ["missing_barrier", "divergent_barrier"])
def test_the_sanitizers_know_the_fibers(run_sanitized, name):
    """Nothing is said where nothing is wrong with memory, also after a launch that ended in the middle."""
    done = run_sanitized(name)
    assert done.returncode == 0 and not done.stderr, done.stderr
