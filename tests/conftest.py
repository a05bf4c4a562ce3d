"""What every test shares: one thread unless a test says otherwise, fresh memory that shows."""

import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from cuda_host import build

# `building` is not installed. Last on the path: which fastgan is tested is for the environment to say.
sys.path.append(str(Path(__file__).resolve().parents[1]))
# Two workers on two cores: fixtures of a whole module run with one thread too.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def poisoned_memory() -> Iterator[None]:
    """Fresh tensors hold NaN (integers: the largest value), also those that C++ operators allocate."""
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = True
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have a deterministic implementation.*")
        yield
    torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def pytest_runtest_setup(item: pytest.Item) -> None:
    stand_in = os.environ.get("FASTGAN_GPU_DRY_RUN") and item.get_closest_marker("stand_in")
    if item.get_closest_marker("gpu") and not (stand_in or torch.cuda.is_available()):
        _skip("torch sees no CUDA device", "gpu")
    if item.get_closest_marker("cuda_host") and (reason := build.compiler_missing()):
        _skip(reason, "cc")


def _skip(reason: str, what: str) -> None:
    """Skip, or fail where FASTGAN_REQUIRE (names separated by commas) says that `what` must be there."""
    if what in os.environ.get("FASTGAN_REQUIRE", "").split(","):
        pytest.fail(f"FASTGAN_REQUIRE asks for {what}: {reason}")
    pytest.skip(reason)  # the one place of the suite that skips while it runs, so that none escapes FASTGAN_REQUIRE


@pytest.fixture(scope="session")
def need():
    """need(reason, what): skip when `reason` is not None, unless FASTGAN_REQUIRE names `what`."""

    def check(reason: str | None, what: str) -> None:
        if reason is not None:
            _skip(reason, what)

    return check


@pytest.fixture
def small_disk(tmp_path, need):
    """small_disk("6m") mounts a tmpfs of that size: its folder, and a function that gives it another size."""
    folder = tmp_path / "disk"

    def mount(options: str) -> subprocess.CompletedProcess:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        return subprocess.run(command, capture_output=True, text=True)

    def make(size: str) -> tuple[Path, Callable[[str], None]]:
        folder.mkdir()
        made = mount(f"size={size}")
        need(f"mounting a tmpfs needs root: {made.stderr.strip()}" if made.returncode else None, "tmpfs")

        def resize(size: str) -> None:
            changed = mount(f"remount,size={size}")
            assert changed.returncode == 0, changed.stderr

        return folder, resize

    yield make
    if folder.is_mount():
        subprocess.run(["umount", str(folder)], check=True)
