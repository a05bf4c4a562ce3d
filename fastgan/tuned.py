"""The measured table of a device, format `tuned/1`: what it holds, where it lies, and what `auto` takes because of it.

`fastgan tune` (`fastgan.tuning`) writes one; `fastgan.backends` reads it. A table holds for the machine it was measured
on alone: another device, driver, torch, Triton, fastgan or kernel source, and it counts as none.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from fastgan.errors import FastganWarning
from fastgan.files import write_json
from fastgan.machine import facts

FORMAT = "tuned/1"
REFERENCE = "reference"
PRECISIONS = ("fp32", "tf32", "fp16", "bf16")
TOLERATED = 0.95  # of ATen's speed: slower than this, and a decision made for several shapes at once is ATen's
_NAMES = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}


class Entry(NamedTuple):
    """One operator at one precision on one class of shapes.

    measured_on: the shape that stands for the class. passed: the self-check; if not, `reason` says why and nothing was
    timed. ours, aten: seconds per call, medians over the rounds. speedup: aten / ours, median over the rounds; least:
    its 20th percentile. chosen: the backend that `auto` takes.
    """

    operator: str
    precision: str
    shape_class: str
    measured_on: str
    passed: bool
    reason: str | None
    ours: float | None
    aten: float | None
    speedup: float | None
    least: float | None
    chosen: str


class NetworkEntry(NamedTuple):
    """Forward and backward pass of a whole network: on chains with the choices above, and without any table."""

    network: str
    precision: str
    chains: float
    modules: float
    speedup: float
    least: float


@dataclass(frozen=True)
class Table:
    """machine: what it holds for (`fastgan.machine.facts`). backend: the one that was held against ATen.

    chains: the precisions at which models run on chains of these operators.
    """

    device_type: str
    backend: str
    machine: dict[str, str]
    settings: dict[str, Any]
    entries: tuple[Entry, ...]
    networks: tuple[NetworkEntry, ...] = ()
    chains: tuple[str, ...] = ()

    def choice(self, op: str, precision: str, shape_class: str | None) -> str:
        """The backend for one class of shapes, ATen for one that was not measured; for None see `_for_all`."""
        if shape_class is None:
            return self._for_all.get((op, precision), REFERENCE)
        return self._by_class.get((op, precision, shape_class), REFERENCE)

    def chosen(self) -> list[Entry]:
        """The entries in which ATen lost."""
        return [entry for entry in self.entries if entry.chosen != REFERENCE]

    @functools.cached_property
    def _by_class(self) -> dict[tuple[str, str, str], str]:
        return {(entry.operator, entry.precision, entry.shape_class): entry.chosen for entry in self.entries}

    @functools.cached_property
    def _for_all(self) -> dict[tuple[str, str], str]:
        """Where an operator asks without a shape: chosen in some class, failed in none, in none slower by 5 %."""
        groups: dict[tuple[str, str], list[Entry]] = {}
        for entry in self.entries:
            groups.setdefault((entry.operator, entry.precision), []).append(entry)
        return {
            key: self.backend
            for key, group in groups.items()
            if any(entry.chosen != REFERENCE for entry in group)
            and all(entry.passed and entry.speedup >= TOLERATED for entry in group)
        }


class Found(NamedTuple):
    """path: where the table of this device lies or would lie. table: None where `reason` says why."""

    path: Path
    table: Table | None
    reason: str | None


def precision_of(device_type: str, dtype: torch.dtype) -> str:
    """The name under which a dtype was measured: float32 is "tf32" where torch's switch for convolutions says so."""
    if dtype == torch.float32 and device_type == "cuda" and torch.backends.cudnn.conv.fp32_precision == "tf32":
        return "tf32"
    return _NAMES.get(dtype, "fp64")


def folder() -> Path:
    """Where tables lie: `$FASTGAN_TUNED`, or `~/.cache/fastgan/tuned`."""
    given = os.environ.get("FASTGAN_TUNED")
    return Path(given).expanduser().absolute() if given else Path.home() / ".cache" / "fastgan" / "tuned"


def path_of(machine: dict[str, str]) -> Path:
    """The file of one machine: readable parts of the facts, then a digest of all."""
    digest = hashlib.sha256(json.dumps(machine, sort_keys=True).encode()).hexdigest()[:12]
    parts = [machine["device"], machine["driver"], f"torch-{machine['torch']}", f"fastgan-{machine['fastgan']}", digest]
    return folder() / f"{'_'.join(re.sub(r'[^a-z0-9.]+', '-', part.lower()) for part in parts if part)}.json"


def find(machine: dict[str, str]) -> Found:
    """The table of a machine, read and checked."""
    path = path_of(machine)
    try:
        table = _parsed(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Found(path, None, "not measured yet: `fastgan tune` does")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        return Found(path, None, f"{path} is no table of format {FORMAT} ({type(error).__name__}: {error})")
    if table.machine != machine:
        differs = next(key for key in machine if table.machine.get(key) != machine[key])
        return Found(path, None, f"{path} was measured on another machine: its {differs} differs")
    return Found(path, table, None)


def save(table: Table) -> Path:
    """Write a table whole or not at all; precisions that it does not hold are kept from the one that was there."""
    path, before, _ = find(table.machine)
    if before is not None and before.backend == table.backend:
        new = {entry.precision for entry in table.entries}
        table = replace(
            table,
            entries=(*table.entries, *(each for each in before.entries if each.precision not in new)),
            networks=(*table.networks, *(each for each in before.networks if each.precision not in new)),
            chains=(*table.chains, *(each for each in before.chains if each not in new)),
        )
    write_json(path, as_json(table))
    of_this_device.cache_clear()
    return path


def as_json(table: Table) -> dict[str, Any]:
    """The table as the file has it."""
    return {
        "format": FORMAT,
        "device_type": table.device_type,
        "backend": table.backend,
        "machine": table.machine,
        "settings": table.settings,
        "chains": list(table.chains),
        "networks": [each._asdict() for each in table.networks],
        "entries": [each._asdict() for each in table.entries],
    }


def _parsed(value: Any) -> Table:
    """Raises ValueError, KeyError or TypeError for what is not a table."""
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise ValueError(f"format must be {FORMAT}")
    entries = tuple(Entry(**each) for each in value["entries"])
    for entry in entries:
        if entry.chosen not in (REFERENCE, value["backend"]) or (entry.chosen != REFERENCE and not entry.passed):
            raise ValueError(f"{entry.chosen!r} is chosen for {entry.operator}")
        if entry.passed and not isinstance(entry.speedup, float):
            raise ValueError(f"the speedup of {entry.operator} must be a number, got {entry.speedup!r}")
    return Table(
        str(value["device_type"]),
        str(value["backend"]),
        dict(value["machine"]),
        dict(value["settings"]),
        entries,
        tuple(NetworkEntry(**each) for each in value["networks"]),
        tuple(value["chains"]),
    )


_used: list[Table | None] = []


@contextlib.contextmanager
def using(table: Table | None) -> Iterator[None]:
    """Inside the block `auto` takes this table, or none, whatever lies on the disk; in the whole process."""
    _used.append(table)
    try:
        yield
    finally:
        _used.pop()


def current(device_type: str) -> Table | None:
    """The table that decides on tensors of this device type; the file is read once, when CUDA tensors come."""
    if _used:
        table = _used[-1]
        return table if table is not None and table.device_type == device_type else None
    return of_this_device().table if device_type == "cuda" else None


@functools.cache
def of_this_device() -> Found:
    """The table of the CUDA device, read once."""
    return load(torch.device("cuda"))


def load(device: torch.device) -> Found:
    """The table of a device; one that lies there and cannot be used is a warning, and counts as none."""
    try:
        machine = facts(device)
    except ValueError as error:
        return Found(folder(), None, str(error))
    found = find(machine)
    if found.table is None and found.path.exists():
        warnings.warn(f"{found.reason}; auto stays with ATen until `fastgan tune`", FastganWarning, stacklevel=2)
    return found
