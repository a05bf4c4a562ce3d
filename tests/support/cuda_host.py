"""Backend cuda on CPU tensors, in this process: the library of tests/cuda_host, switched on for a while."""

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from cuda_host import build

from fastgan import backends, native

# 0: threads in turn; 7: in random order; 2: the last warp runs ahead; 4: a random warp does.
SCHEDULES = (0, 7, 2, 4)
BACKENDS = tuple(f"cuda-schedule-{schedule}" for schedule in SCHEDULES)
PARAMETERS = [pytest.param(name, marks=pytest.mark.cuda_host) for name in BACKENDS]


@contextmanager
def switched_on(schedule: int = 0) -> Iterator[None]:
    """Within the block, FASTGAN_CUDA_HOST names the library, and its launches follow `schedule`."""
    wanted = {"FASTGAN_CUDA_HOST": _library(), "FASTGAN_CUDA_HOST_SCHEDULE": str(schedule)}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    _forget()
    try:
        assert native.cuda_on_host_missing() is None
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        _forget()


@contextmanager
def forced(name: str) -> Iterator[None]:
    """Backend `name`, or one of BACKENDS, within the block."""
    if name not in BACKENDS:
        with backends.use_backend(name):
            yield
        return
    with switched_on(SCHEDULES[BACKENDS.index(name)]), backends.use_backend("cuda"):
        yield


@functools.cache
def _library() -> str:
    return str(build.operators())


def _forget() -> None:
    """What a process decides once, and this one again."""
    for decided in (native.cuda_on_host, native.cuda_on_host_missing, backends._choose, backends._able):
        decided.cache_clear()
