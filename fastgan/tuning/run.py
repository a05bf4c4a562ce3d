"""From a device to its table: check, time, choose, for every operator and precision."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch

from fastgan import backends
from fastgan.errors import BackendError
from fastgan.machine import facts
from fastgan.progress import Progress, silent
from fastgan.tuned import PRECISIONS, REFERENCE, Entry, Table
from fastgan.tuning import networks
from fastgan.tuning.cases import Case, cases
from fastgan.tuning.scope import Scope
from fastgan.tuning.self_check import FACTOR, complaint
from fastgan.tuning.timing import Contender, compare

_DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def tune(
    device: str = "cuda",
    precisions: Sequence[str] = PRECISIONS,
    *,
    backend: str = "triton",
    scope: Scope | None = None,
    progress: Progress = silent,
) -> Table:
    """Hold `backend` against the reference, which is ATen, on this device; `fastgan.tuned.save` writes the result.

    For each operator, precision and class of shapes: the self-check, and where it is passed both are timed in turn.
    Then whole networks. cuDNN may look for its best algorithm meanwhile (torch.backends.cudnn.benchmark).
    Raises ValueError for an unknown precision and BackendError where the backend cannot run on the device at all.
    """
    scope = scope or Scope()
    place = torch.device(device)
    for precision in precisions:
        if precision not in PRECISIONS:
            raise ValueError(f"tune: precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    if reason := backends.why_not("affine_act_conv2d", backend, place.type, torch.float32):
        raise BackendError(f"tune: nothing to measure on device '{device}': {reason}")
    machine = facts(place)
    found = cases(scope)
    work = {
        precision: [each for each in found if not backends.why_not(each.operator, backend, place.type, dtype)]
        for precision, dtype in _DTYPES.items()
        if precision in precisions
    }
    done, total = 0, sum(map(len, work.values())) + len(work) * networks.count(scope)

    def step(text: str) -> None:
        nonlocal done
        progress(done, total, text)
        done += 1

    table = Table(
        place.type, backend, machine, {"rounds": scope.rounds, "seconds": scope.seconds, "factor": FACTOR}, ()
    )
    with _best_of_aten():
        for precision, of_precision in work.items():
            with _convolutions_at(precision):
                table = _with(table, precision, of_precision, place, scope, step)
    progress(total, total, "")
    return table


def _with(
    table: Table, precision: str, found: list[Case], device: torch.device, scope: Scope, step: Callable[[str], None]
) -> Table:
    """The table and what one precision adds to it."""
    entries = []
    for case in found:
        step(f"{case.operator}, {precision}")
        entries.append(_entry(case, precision, table.backend, device, scope))
    table = replace(table, entries=(*table.entries, *entries))
    if not any("conv" in entry.operator for entry in entries if entry.chosen != REFERENCE):
        return table
    whole, pays = networks.measured(table, precision, device, scope, step)
    chains = (*table.chains, precision) if pays else table.chains
    return replace(table, networks=(*table.networks, *whole), chains=chains)


def _entry(case: Case, precision: str, backend: str, device: torch.device, scope: Scope) -> Entry:
    start = case.operator, precision, case.shape_class, case.measured_on
    if reason := complaint(case, backend, device, _DTYPES[precision]):
        return Entry(*start, False, reason, None, None, None, None, REFERENCE)
    ours, theirs = (_contender(case, name, device, _DTYPES[precision]) for name in (backend, REFERENCE))
    timing = compare(ours, theirs, device, scope.rounds, scope.seconds)
    return Entry(*start, True, None, *timing, backend if timing.faster else REFERENCE)


def _contender(case: Case, backend: str, device: torch.device, dtype: torch.dtype) -> Contender:
    with backends.use_backend(backend):
        call = case.prepare(device, dtype, False)
    return Contender(call, lambda: backends.use_backend(backend))


@contextlib.contextmanager
def _convolutions_at(precision: str) -> Iterator[None]:
    """torch's switch for convolutions in float32, which our kernels follow too."""
    conv = torch.backends.cudnn.conv
    before = conv.fp32_precision
    conv.fp32_precision = "tf32" if precision == "tf32" else "ieee"
    try:
        yield
    finally:
        conv.fp32_precision = before


@contextlib.contextmanager
def _best_of_aten() -> Iterator[None]:
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
