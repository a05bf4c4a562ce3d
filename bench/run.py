"""Runs a suite: `run(Options())` is the Python twin of `fastgan bench`."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from fastgan.bench.engines import Backend, is_ours, missing, on_cuda
from fastgan.bench.machine import machine as machine_facts
from fastgan.bench.options import Options, backends_on, peer_names
from fastgan.bench.race import Record, Say, race_all
from fastgan.bench.roofline import mark
from fastgan.bench.suites import generate, generator, gpu_model, memory, ops, train_step

from fastgan.device import resolve_device

FORMAT = "bench/1"
_ROUNDS = {"quick": 5, "generator": 7, "train-step": 7}
_QUICK_BATCH = {"generator": 64, "train-step": 16}


def run(options: Options, say: Say = lambda text: None) -> dict[str, Any]:
    """Run a suite and return its result: format, command line's options, machine, notes and records.

    An interruption (KeyboardInterrupt) ends it early: the result has "interrupted" true and the records so far.
    Raises ValueError where the device of the options is not there.
    """
    resolve_device(options.device)
    say("measuring the peak of this machine")
    machine = machine_facts(options.threads, options.device, options.precision)
    result: dict[str, Any] = {"format": FORMAT, "suite": options.suite, "options": _json(options), "machine": machine}
    records: list[Record] = []
    notes: list[str] = []
    result |= {"notes": notes, "records": records, "interrupted": False}
    try:
        _SUITES[options.suite](options, machine, records, notes, say)
    except KeyboardInterrupt:
        result["interrupted"] = True
    for record in records:
        mark(record)
    return result


def chosen(options: Options, notes: list[str]) -> list[Backend]:
    """Ours and the peers to run; each that cannot run here adds its line to `notes`."""
    rows = {backend.name: backend for backend in backends_on(options.device)}
    names = [name for name in rows if is_ours(name)] + list(peer_names(options.peers, options.device))
    backends = []
    for backend in map(rows.get, names):
        said = missing(backend, options.peer_python if backend.foreign else None)
        if said is None and options.device == "cuda":
            said = on_cuda.unfit(backend, options.precision)
        if said:
            notes.append(f"{backend.name}: {said}")
        else:
            backends.append(backend)
    return backends


def _race(cases: Callable[[Options], Sequence[Any]]) -> Callable[..., None]:
    def suite(options: Options, machine: dict, records: list[Record], notes: list[str], say: Say) -> None:
        backends = chosen(options, notes)
        rounds = options.rounds or _ROUNDS[options.suite]
        work = cases(options)
        backends = [backend for backend in backends if any(case.task in backend.tasks for case in work)]
        race_all(work, backends, options, rounds, machine, records, say)

    return suite


def _quick(options: Options) -> list[Any]:
    """One batch of each of the two suites that matter most."""
    return [
        *generator.cases(options, (_QUICK_BATCH["generator"],), (0,)),
        *train_step.cases(options, _QUICK_BATCH["train-step"], (False,)),
    ]


def _quick_suite(options: Options, *rest: Any) -> None:
    _race(_quick)(replace(options, waiting=options.waiting[:1]), *rest)


_SUITES: dict[str, Callable[..., None]] = {
    "quick": _quick_suite,
    "generator": _race(generator.cases),
    "train-step": _race(train_step.cases),
    "memory": memory.run,
    "generate": generate.run,
    "ops": ops.run,
    "gpu-model": gpu_model.run,
}


def _json(options: Options) -> dict[str, Any]:
    return {**options.__dict__, "size": list(options.size), "waiting": list(options.waiting)}
