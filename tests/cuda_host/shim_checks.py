"""What the shim has to say of each small wrong kernel in kernels/wrong.cu, or to make visible in its numbers."""

import ctypes
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

SCHEDULES = (0, 7, 2, 4)
SOURCES = sorted(Path(__file__).with_name("kernels").glob("*.cu"))
THREADS = "launches_of_threads"  # a check that is of no one kernel
_VARIABLE = "FASTGAN_CUDA_HOST_SCHEDULE"

NAMED = {  # kernel -> what has to be said under every schedule
    "divergent_barrier": r"threads of a block diverge: __syncthreads at wrong.cu:\d+, others are in __syncthreads",
    "divergent_shuffle": r"lanes of a warp diverge: __shfl_\w+_sync at wrong.cu:\d+, others are in __shfl_\w+_sync",
    "barrier_of_one_lane": r"deadlock: thread .*thread \(32, 0, 0\) waits in __shfl_xor_sync at wrong.cu:\d+, "
    r"thread \(37, 0, 0\) waits in __syncthreads at wrong.cu:\d+",
    "shuffle_outside_its_mask": r"thread \(50, 0, 0\): __shfl_sync at wrong.cu:\d+: the mask leaves out the lane",
    "shuffle_from_nobody": r"__shfl_sync at wrong.cu:\d+: it reads lane 20, which does not take part",
    "misaligned_copy": r"thread \(35, 0, 0\): copy_async_16 at wrong.cu:\d+: memory is not aligned to 16 bytes",
    "copy_past_the_end": r"thread \(63, 0, 0\): copy_async_16 at wrong.cu:\d+: it writes past shared memory",
    "misaligned_pack": r"thread \(3, 0, 0\): load_16 at wrong.cu:\d+: memory is not aligned to 16 bytes",
    "misaligned_rows": r"thread \(40, 0, 0\): load_matrices at wrong.cu:\d+: a row is not aligned to 16 bytes",
    "product_of_half_a_warp": r"multiply_16816 at wrong.cu:\d+: it needs all 32 lanes of the warp",
    "operand_not_rounded": r"multiply_1688_tf32 at wrong.cu:\d+: an operand was not rounded to tf32",
    "too_many_static_bytes": r"invalid argument: shared memory declared at wrong.cu:\d+ does not fit .* 101376 bytes",
}

REFUSED = {
    "too_much_dynamic_memory": "invalid argument",
    "too_many_threads": "invalid configuration argument",
    "too_deep_a_block": "invalid configuration argument",
    "no_blocks": "invalid configuration argument",
    "too_many_blocks": "invalid configuration argument",
}

SEEN = {  # kernel -> schedules under which its numbers are wrong
    "missing_barrier": (0, 7, 2, 4),
    "missing_second_barrier": (0, 7, 2, 4),
    "missing_barrier_after_zero": (2,),
    "never_written": (0, 7, 2, 4),
    "copy_without_wait": (0, 7, 2, 4),
    "copy_over_what_is_read": (0, 7, 2, 4),
}


def load(library: Path) -> ctypes.CDLL:
    """The small kernels, each a function that gives its error or None."""
    kernels = ctypes.CDLL(str(library))
    for name in ("sum", "shuffles", "product_half", "product_bfloat16", "product_tf32", "wrong"):
        getattr(kernels, f"fastgan_test_{name}").restype = ctypes.c_char_p
    return kernels


@contextmanager
def following(schedule: int) -> Iterator[None]:
    """Launches within the block have this schedule."""
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = str(schedule)
    try:
        yield
    finally:
        os.environ.pop(_VARIABLE)
        if before is not None:
            os.environ[_VARIABLE] = before


def run_wrong(kernels: ctypes.CDLL, name: str, schedule: int) -> tuple[str | None, torch.Tensor]:
    """What is said of a kernel, and what it left."""
    out = torch.zeros(4, 64)
    with following(schedule):
        said = kernels.fastgan_test_wrong(name.encode(), ctypes.c_void_p(out.data_ptr()))
    return said and said.decode(), out


def is_named(kernels: ctypes.CDLL, name: str, schedule: int) -> None:
    said, _ = run_wrong(kernels, name, schedule)
    assert said is not None and said.startswith("block (0, 0, 0)"), said
    assert re.search(NAMED[name], said), said


def is_refused(kernels: ctypes.CDLL, name: str) -> None:
    assert run_wrong(kernels, name, 0)[0] == REFUSED[name]


def is_seen(kernels: ctypes.CDLL, name: str) -> None:
    right = torch.full((64,), 0.0 if name == "copy_without_wait" else 1.0)
    found = set()
    for schedule in SCHEDULES:
        said, out = run_wrong(kernels, name, schedule)
        assert said is None, said
        if not torch.equal(out[0], right):
            found.add(schedule)
    assert set(SEEN[name]) <= found, f"{name} gives the right numbers under schedules {set(SEEN[name]) - found}"


def threads_take_turns(kernels: ctypes.CDLL, schedule: int) -> None:
    """threads.py comes to its end, and finds nothing."""
    command = [sys.executable, str(Path(__file__).with_name("threads.py")), kernels._name]
    done = subprocess.run(command, env={**os.environ, _VARIABLE: str(schedule)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def check(kernels: ctypes.CDLL, name: str) -> None:
    """All of that for one kernel."""
    if name == THREADS:
        threads_take_turns(kernels, 0)
    elif name in NAMED:
        for schedule in SCHEDULES:
            is_named(kernels, name, schedule)
    elif name in REFUSED:
        is_refused(kernels, name)
    else:
        is_seen(kernels, name)
