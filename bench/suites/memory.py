"""Suite `memory`: what one training step allocates above the state before it, each way in a fresh process."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastgan.bench import gate
from fastgan.bench.allocations import GIVE_BACK, build_counter
from fastgan.bench.engines import OURS, TRAIN_STEP, TRAIN_STEP_R1, Backend, is_ours, on_cuda
from fastgan.bench.options import Options
from fastgan.bench.process import EngineError, EngineProcess
from fastgan.bench.race import Record, Say
from fastgan.bench.suites import train_step

_TASKS = (TRAIN_STEP, TRAIN_STEP_R1)
_PEERS = (
    Backend("eager", "training_memory", _TASKS, options={"layout": "nchw", "fused": False}),
    Backend("channels-last", "training_memory", _TASKS, options={"layout": "nhwc", "fused": False}),
)
BACKENDS = (Backend(OURS, "training_memory", _TASKS, options={"fused": True}), *_PEERS)
_OURS_ON_CUDA = {"layout": "nhwc", "fused": True}
BACKENDS_ON_CUDA = (
    Backend(OURS, "training_memory", _TASKS, options=_OURS_ON_CUDA),
    *(
        Backend(f"{OURS}-{name}", "training_memory", _TASKS, options={**_OURS_ON_CUDA, "backend": name})
        for name in on_cuda.FORCED
    ),
    *_PEERS,
)
NO_COUNTER = "memory: no C compiler (cc) that works here, so no counting allocator: saved bytes and VmHWM alone"


def run(options: Options, machine: dict[str, Any], records: list[Record], notes: list[str], say: Say) -> None:
    """The step of suite `train-step`, after the same gate."""
    with _accounting(options.device, notes) as extra:
        backends = BACKENDS
        if options.device == "cuda":
            backends = on_cuda.fit(BACKENDS_ON_CUDA, options.precision, notes)
        for case in train_step.cases(options):
            expected = case.expected(case)
            group = [_measured(case, backend, expected, options, extra, machine, say) for backend in backends]
            records += _compared(group)


@contextlib.contextmanager
def _accounting(device: str, notes: list[str]) -> Iterator[dict[str, str]]:
    """What engines need in their environment so that allocations are seen: nothing on a GPU, whose allocator tells."""
    if device == "cuda":
        yield {}
        return
    with tempfile.TemporaryDirectory() as folder:
        counter = build_counter(Path(folder))
        if counter is None:
            notes.append(NO_COUNTER)
        yield {**GIVE_BACK, **({"LD_PRELOAD": str(counter)} if counter else {})}


def _measured(case, backend, expected, options: Options, extra: dict[str, str], machine: dict, say: Say) -> Record:
    say(f"memory, {case.name}, batch {case.batch}: {backend.name}")
    engine = EngineProcess(backend, options.threads, "passive", extra=extra, device=options.device)
    measured, error, refused = None, None, None
    try:
        engine.prepare(*case.work_for(backend, options.threads, "passive"))
        verdict = gate.judge(engine.check(), expected, case.tolerance)
        error, refused = verdict.error, verdict.complaint
        if refused is None:
            measured = engine.measure()
    except EngineError as failure:
        refused = f"cannot run: {failure}"
    finally:
        engine.close()
    return {
        "suite": "memory",
        "case": f"training step, {case.name}",
        "batch": case.batch,
        "backend": backend.name,
        "waiting": "passive",
        "device": case.device,
        "precision": case.precision,
        "img_per_s": None,
        "bytes": measured,
        "best_peer": None,
        "ratio_to_best_peer": None,
        "gflop_per_image": None,
        "roofline_fraction": None,
        "max_rel_err": error,
        "seconds_per_call": None,
        "refused": refused,
        "machine": machine,
    }


def _compared(group: list[Record]) -> list[Record]:
    """With the peer that needs least, and how many times what this backend needs that is."""
    needs = {r["backend"]: r["bytes"]["transient"] for r in group if r["bytes"] and r["bytes"]["transient"]}
    best = min((name for name in needs if not is_ours(name)), key=needs.get, default=None)
    for record in group:
        record["best_peer"] = best
        if best and record["backend"] in needs:
            record["ratio_to_best_peer"] = needs[best] / needs[record["backend"]]
    return group


def table(records: list[Record]) -> list[str]:
    """Least first, in MB."""
    on_gpu = any(record["bytes"] and "reserved" in record["bytes"] for record in records)
    key, title = ("reserved", "reserved MB") if on_gpu else ("vm_hwm", "VmHWM MB")
    lines = [f"  {'backend':<22}{'transient MB':>14}{title:>12}{'saved MB':>12}{'of best peer':>14}"]
    for record in records:
        name, measured = record["backend"], record["bytes"]
        if measured is None:
            lines.append(f"  {name:<22}{record['refused'] or 'not measured'}")
            continue
        columns = "".join(
            f"{measured[column] / 1e6:>{width}.1f}" if measured[column] is not None else f"{'-':>{width}}"
            for column, width in (("transient", 14), (key, 12), ("saved", 12))
        )
        ratio = record["ratio_to_best_peer"]
        lines.append(f"{'*' if is_ours(name) else ' '} {name:<22}{columns}{f'{1 / ratio:.2f}' if ratio else '-':>14}")
    return lines
