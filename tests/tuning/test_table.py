"""Tables on disk: what was measured is found again, and what is stale, foreign or damaged counts as none."""

import json
from dataclasses import replace

import pytest
import torch

from fastgan import tuned
from fastgan.errors import FastganWarning
from fastgan.machine import facts

CPU = torch.device("cpu")


def test_what_was_saved_is_found(measured, shelf):
    path = tuned.save(measured)
    assert path.parent == shelf and [each.name for each in shelf.iterdir()] == [path.name]
    assert tuned.find(facts(CPU)) == (path, measured, None)
    assert json.loads(path.read_text())["format"] == "tuned/1"


def test_without_a_table_nothing_is_said(shelf, recwarn):
    path, table, reason = tuned.load(CPU)
    assert table is None and not path.exists() and reason == "not measured yet: `fastgan tune` does"
    assert not recwarn.list and not shelf.exists()


@pytest.mark.parametrize("fact", ["device", "capability", "driver", "cuda", "torch", "triton", "fastgan", "kernels"])
def test_a_table_of_another_machine_counts_as_none(measured, shelf, fact):
    path = tuned.save(measured)
    other = {**facts(CPU), fact: "another"}
    assert tuned.find(other).table is None
    renamed = path.rename(tuned.path_of(other))
    assert tuned.find(other) == (renamed, None, f"{renamed} was measured on another machine: its {fact} differs")


def chosen(name: str):
    return lambda text: text.replace('"chosen": "reference"', f'"chosen": "{name}"')


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[1, 2]",
        lambda text: "[" * 100_000,
        lambda text: text.replace("tuned/1", "tuned/2"),
        lambda text: text.replace('"machine"', '"device"'),
        lambda text: text.replace('"passed"', '"past"'),
        lambda text: text.replace('"speedup": ', '"speedup": "fast", "least": '),
        lambda text: text.replace('"entries": [', '"entries": [3, '),
        lambda text: text.replace('"chains": []', '"chains": null'),
        chosen("quick"),
    ],
    ids=["half", "empty", "list", "deep", "format", "key", "field", "number", "entry", "chains", "chosen"],
)
def test_a_damaged_table_is_one_warning_and_counts_as_none(measured, choosing, shelf, damage):
    path = tuned.save(choosing(measured, "reference"))
    path.write_text(damage(path.read_text()))
    with pytest.warns(FastganWarning) as said:
        assert tuned.load(CPU).table is None
    assert len(said) == 1 and str(path) in str(said[0].message) and "\n" not in str(said[0].message)


def test_bytes_that_are_no_text_and_a_folder_count_as_none(measured, shelf):
    path = tuned.save(measured)
    path.write_bytes(b"\xff\xfe\x00{")
    assert tuned.find(facts(CPU)).table is None
    path.unlink()
    path.mkdir()
    assert tuned.find(facts(CPU)).table is None


def test_a_backend_that_failed_the_self_check_cannot_be_chosen(measured, choosing, shelf):
    table = choosing(measured, "cpu")
    path = tuned.save(table)
    path.write_text(path.read_text().replace('"passed": true', '"passed": false', 1))
    assert "'cpu' is chosen for" in tuned.find(facts(CPU)).reason


def test_another_precision_is_added_and_the_same_replaced(measured, choosing, shelf):
    tuned.save(choosing(measured, "reference", chains=("fp32",)))
    halves = choosing(measured, "cpu", chains=("bf16",))
    halves = replace(halves, entries=tuple(each._replace(precision="bf16") for each in halves.entries))
    tuned.save(halves)
    table = tuned.find(facts(CPU)).table
    assert {(each.precision, each.chosen) for each in table.entries} == {("fp32", "reference"), ("bf16", "cpu")}
    assert set(table.chains) == {"fp32", "bf16"}
    tuned.save(choosing(measured, "cpu"))
    table = tuned.find(facts(CPU)).table
    assert {each.chosen for each in table.entries} == {"cpu"} and table.chains == ("bf16",)


def test_a_file_is_named_after_device_and_versions():
    machine = {**facts(CPU), "device": "NVIDIA H100 80GB HBM3", "driver": "570.86.15", "torch": "2.13.0+cu130"}
    name = tuned.path_of(machine).name
    assert name.startswith(f"nvidia-h100-80gb-hbm3_570.86.15_torch-2.13.0-cu130_fastgan-{machine['fastgan']}_")
