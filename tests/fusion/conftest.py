"""Chains run on the definitions in stock torch here: these are everywhere, and `auto` may find torch faster."""

from collections.abc import Iterator

import pytest

from fastgan import backends


@pytest.fixture(autouse=True)
def _on_the_definitions() -> Iterator[None]:
    with backends.use_backend("reference"):
        yield
