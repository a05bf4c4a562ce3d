"""What every test shares: one thread unless a test says otherwise, fresh memory that shows."""

import os
import warnings
from collections.abc import Iterator

import pytest
import torch

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
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        _skip("torch sees no CUDA device", "gpu")


def _skip(reason: str, what: str) -> None:
    """Skip, or fail where FASTGAN_REQUIRE (names separated by commas) says that `what` must be there."""
    if what in os.environ.get("FASTGAN_REQUIRE", "").split(","):
        pytest.fail(f"FASTGAN_REQUIRE asks for {what}: {reason}")
    pytest.skip(reason)


@pytest.fixture
def need():
    """need(reason, what): skip when `reason` is not None, unless FASTGAN_REQUIRE names `what`."""

    def check(reason: str | None, what: str) -> None:
        if reason is not None:
            _skip(reason, what)

    return check
