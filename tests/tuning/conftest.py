"""A table that was measured: the native CPU operators against the reference, on layers of a few channels."""

import pytest

from fastgan import native, tuned
from fastgan.tuned import Table
from fastgan.tuning import Scope, tune

SMALL = Scope(
    models=(("dcgan", (8, 8), 1),), width=8, batches=(2,), network_batch=2, logits=(64,), rounds=3, seconds=2e-4
)


@pytest.fixture(scope="session")
def measured(need) -> Table:
    need(native.ops_missing(), "cpu")
    return tune("cpu", ["fp32"], backend="cpu", scope=SMALL)


@pytest.fixture
def small() -> Scope:
    return SMALL


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """An empty folder for tables."""
    monkeypatch.setenv("FASTGAN_TUNED", str(tmp_path / "tuned"))
    tuned.of_this_device.cache_clear()
    yield tmp_path / "tuned"
    tuned.of_this_device.cache_clear()


@pytest.fixture
def choosing():
    """choosing(table, backend): the table as if that backend had won everywhere; `chains`: where models run on them."""

    def make(table: Table, backend: str, chains: tuple[str, ...] = ()) -> Table:
        entries = tuple(each._replace(passed=True, speedup=2.0, chosen=backend) for each in table.entries)
        return Table(table.device_type, table.backend, table.machine, table.settings, entries, (), chains)

    return make
