"""A case with all its engines: prepared side by side, each through the gate, then timed in turns."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from fastgan.bench import gate, roofline
from fastgan.bench.cases import Case
from fastgan.bench.engines import Backend, is_ours
from fastgan.bench.machine import look_again
from fastgan.bench.options import Options
from fastgan.bench.process import EngineError, EngineProcess
from fastgan.bench.timing import Timed, interleaved, percentiles, ratio

Record = dict[str, Any]
Say = Callable[[str], None]

# Threads' own ways of waiting are measured beside the comparison, with fewer rounds.
_DEFAULT_WAITING_ROUNDS = 3


@contextlib.contextmanager
def started(backends: Sequence[Backend], options: Options, waiting: str) -> Iterator[dict[str, EngineProcess]]:
    """A process for each backend, gone at the end."""
    engines = {}
    try:
        for backend in backends:
            python = options.peer_python if backend.foreign else None
            engines[backend.name] = EngineProcess(backend, options.threads, waiting, python, device=options.device)
        yield engines
    finally:
        for engine in engines.values():
            engine.close()


def race_all(
    cases: Sequence[Case],
    backends: Sequence[Backend],
    options: Options,
    rounds: int,
    machine: dict[str, Any],
    records: list[Record],
    say: Say,
) -> None:
    """Time all cases and append their records; on KeyboardInterrupt those of the rounds that were finished too."""
    for waiting in options.waiting:
        turns = rounds if waiting == "passive" or len(options.waiting) == 1 else min(rounds, _DEFAULT_WAITING_ROUNDS)
        with started(backends, options, waiting) as engines:
            for case in cases:
                race(case, engines, options, turns, waiting, machine, records, say)
                look_again(machine)


def race(
    case: Case,
    engines: dict[str, EngineProcess],
    options: Options,
    rounds: int,
    waiting: str,
    machine: dict[str, Any],
    records: list[Record],
    say: Say,
) -> None:
    """One case."""
    title = f"{case.suite}, {case.name}, batch {case.batch}" + (", default waiting" if waiting == "default" else "")
    able = {name: engine for name, engine in engines.items() if case.task in engine.backend.tasks}
    say(f"{title}: preparing {', '.join(able)}")
    verdicts = _through_the_gate(case, able, options.threads, waiting)
    for name, verdict in verdicts.items():
        machine["versions"].update(able[name].versions)
        if verdict.complaint:
            say(f"{title}: {name}: {verdict.complaint}")
    timed: dict[str, Timed] = {name: able[name] for name, verdict in verdicts.items() if not verdict.complaint}
    seconds: dict[str, list[float]] = {}
    try:
        interleaved(
            timed,
            rounds,
            options.seconds,
            step=lambda name: say(f"{title}: round {len(seconds[name]) + 1} of {rounds}, {name}"),
            keep=seconds,
        )
    finally:
        records += records_of(case, waiting, seconds, verdicts, machine)


def _through_the_gate(
    case: Case, engines: dict[str, EngineProcess], threads: int, waiting: str
) -> dict[str, gate.Verdict]:
    expected = _expected(case)

    def judged(engine: EngineProcess) -> gate.Verdict:
        try:
            engine.prepare(*case.work_for(engine.backend, threads, waiting))
            return gate.judge(engine.check(), expected, case.tolerance)
        except EngineError as error:
            return gate.Verdict(float("inf"), f"cannot run: {error}")

    # On a GPU one after the other: cuDNN and compilers choose by timing, and would time each other.
    with ThreadPoolExecutor(1 if case.device == "cuda" else os.cpu_count()) as pool:
        try:
            return dict(zip(engines, pool.map(judged, engines.values()), strict=True))
        except KeyboardInterrupt:  # the pool waits for its threads, and those for answers
            for engine in engines.values():
                engine.close()
            raise


def _expected(case: Case) -> dict[str, Any]:
    with torch.random.fork_rng(devices=[]):
        return case.expected(case)


def records_of(
    case: Case,
    waiting: str,
    seconds: dict[str, list[float]],
    verdicts: dict[str, gate.Verdict],
    machine: dict[str, Any],
) -> list[Record]:
    """One record a backend; those that were refused have no speed but the reason."""
    seconds = {name: values for name, values in seconds.items() if values}
    peers = [name for name in seconds if not is_ours(name)]
    speed = {name: percentiles([case.batch / each for each in values]) for name, values in seconds.items()}
    best = max(peers, key=lambda name: speed[name]["p50"], default=None)
    records = []
    for name, verdict in verdicts.items():
        record: Record = {
            "suite": case.suite,
            "case": case.name,
            "batch": case.batch,
            "backend": name,
            "waiting": waiting,
            "device": case.device,
            "precision": case.precision,
            "img_per_s": speed.get(name),
            "best_peer": best,
            "ratio_to_best_peer": ratio(seconds[name], seconds[best]) if best and name in seconds else None,
            "gflop_per_image": case.flops / 1e9 or None,
            "roofline_fraction": None,
            "max_rel_err": verdict.error if verdict.error < float("inf") else None,
            "seconds_per_call": seconds.get(name),
            "refused": verdict.complaint,
            "machine": machine,
        }
        roofline.mark(record)
        records.append(record)
    return records
