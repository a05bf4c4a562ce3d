"""What is done on the day, stage by stage: each a process of its own, since a device that failed once stays so."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as xml
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PASSED, FAILED, LEFT_OUT = "passed", "failed", "left out"
SANITIZERS = ("memcheck", "racecheck", "synccheck", "initcheck")
# What they see: kernels that are launched one by one, not those inside a graph.
SANITIZED = ("tests/gpu/test_emulated_cases_gpu.py", "tests/gpu/test_frozen_operator_gpu.py")
PRECISIONS = ("fp16", "fp32")
SUITES = ("generator", "train-step", "ops")
DRY_SUITES = SUITES[:2]
TINY = ("--batch", "2", "--size", "16x16", "--width", "8", "--rounds", "1", "--seconds", "0.001", "--peers", "eager")
# In a dry run all of the CUDA kernels, and of Triton's a handful of each kind: the interpreter takes a second a launch.
DRY_CASES = (
    "cuda and not losses or without_a_graph or at_once and losses or "
    "1_to_4_ieee or 64_fp16 or batch_norm_affine_plain or hinge and float32"
)


@dataclass(frozen=True)
class Day:
    """out: the folder of the results. seconds: the longest that a stage may take."""

    out: Path
    dry: bool
    seconds: float = 7200.0

    def environment(self, **more: str) -> dict[str, str]:
        stand_in = {"TRITON_INTERPRET": "1", "FASTGAN_GPU_DRY_RUN": "1"} if self.dry else {}
        path = os.pathsep.join([str(ROOT / "tests"), str(ROOT), os.environ.get("PYTHONPATH", "")])
        # The tables that `fastgan tune` writes are for this device, and are measured within the day.
        return {**os.environ, **stand_in, "PYTHONPATH": path, "FASTGAN_TUNED": str(self.out / "tuned"), **more}


@dataclass
class Stage:
    """What came of one: `said` is a sentence, `details` what the page shows of it."""

    name: str
    title: str
    state: str
    seconds: float
    said: str
    command: str = ""
    log: str = ""
    details: dict[str, Any] = field(default_factory=dict)


@dataclass
class Run:
    """A process that ended, or was ended."""

    code: int
    out: str
    seconds: float
    command: str
    log: str

    @property
    def last(self) -> str:
        lines = (self.out.strip() or (ROOT / self.log).read_text().strip()).splitlines()
        return lines[-1][:300] if lines else f"exit {self.code} without a word"


def check(day: Day) -> Iterator[Stage]:
    """Is the device there, does it compute what it should, and does it stay inside its memory?"""
    yield device(day)
    yield numerics(day)
    yield from sanitizers(day)


def bench(day: Day) -> Iterator[Stage]:
    """How long things take, against stock torch and against the predicted floors."""
    yield device(day)
    yield tune(day)
    for suite in DRY_SUITES if day.dry else SUITES:
        for precision in PRECISIONS[:1] if day.dry else PRECISIONS:
            yield race(day, suite, precision)
    yield floors(day)


ALL: dict[str, Callable[[Day], Iterator[Stage]]] = {"check": check, "bench": bench}


def device(day: Day) -> Stage:
    run = python(day, "device", "-m", "tests.gpu_day.device")
    found = parsed(run)
    return stage("device", "The device, the import, the stream", run, found.get("said", run.last), found)


def numerics(day: Day) -> Stage:
    """Every test that needs a device: among them the cases that are emulated elsewhere."""
    report = day.out / "logs/numerics.xml"
    chosen = ["-m", "gpu and stand_in", "-k", DRY_CASES] if day.dry else ["-m", "gpu"]
    tests = "tests/gpu", *chosen, f"--junitxml={report}", "-o", "timeout=1800"
    run = python(day, "numerics", "-m", "pytest", *tests, **(on_host(day) if day.dry else {}))
    counts, failures = counted(report)
    ran = counts["tests"] - counts["skipped"]
    said = f"{ran} tests ran, {counts['failed']} failed, {counts['skipped']} were left out"
    made = stage("numerics", "Numbers, against float64", run, said, counts | {"failures": failures})
    made.state = made.state if ran else FAILED
    return made


def on_host(day: Day) -> dict[str, str]:
    """What lets backend cuda take CPU tensors: its kernels compiled for the host, if that can be done here."""
    run = python(day, "cuda-host", "-m", "tests.cuda_host.build")
    return {} if run.code else {"FASTGAN_CUDA_HOST": run.out.strip().splitlines()[-1]}


def counted(report: Path) -> tuple[dict[str, int], list[dict[str, str]]]:
    """How many tests there were, and of those that failed the name and the first line; from pytest's XML."""
    if not report.is_file():
        return {"tests": 0, "failed": 0, "skipped": 0}, []
    cases = list(xml.parse(report).getroot().iter("testcase"))
    failures = []
    for case in cases:
        for kind in ("failure", "error"):
            if (found := case.find(kind)) is not None:
                said = (found.get("message") or "").splitlines() or [""]
                failures.append({"name": f"{case.get('classname')}::{case.get('name')}", "said": said[0][:300]})
    skipped = sum(case.find("skipped") is not None for case in cases)
    return {"tests": len(cases), "failed": len(failures), "skipped": skipped}, failures


def sanitizers(day: Day) -> Iterator[Stage]:
    """A subset under NVIDIA's compute-sanitizer, which sees what no comparison of results does."""
    found = find_sanitizer()
    for tool in SANITIZERS:
        title = f"compute-sanitizer, {tool}"
        if day.dry or found is None:
            reason = "needs a device" if day.dry else "compute-sanitizer was not found (CUDA toolkit, or PATH)"
            yield Stage(tool, title, LEFT_OUT, 0.0, reason)
            continue
        # torch's allocator would hand out parts of blocks, and what runs out of one would land in the next; and blocks
        # that somebody wrote before, which initcheck, for workspaces and counters, would take for written.
        environment = {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}
        options = ["--tool", tool, "--error-exitcode", "86", "--target-processes", "all", "--log-file"]
        command = [found, *options, str(day.out / f"logs/{tool}-said.txt"), sys.executable]
        tests = ["-m", "pytest", *SANITIZED, "-m", "gpu", "-o", "timeout=3600"]
        run = process(day, tool, [*command, *tests], environment)
        said = day.out / f"logs/{tool}-said.txt"
        summary = re.findall(r"ERROR SUMMARY: .*|RACECHECK SUMMARY: .*", said.read_text() if said.is_file() else "")
        yield stage(tool, title, run, summary[-1] if summary else run.last)


def find_sanitizer() -> str | None:
    if found := shutil.which("compute-sanitizer"):
        return found
    homes = [Path(os.environ["CUDA_HOME"])] if os.environ.get("CUDA_HOME") else sorted(Path("/usr/local").glob("cuda*"))
    places = [home / folder / "compute-sanitizer" for home in homes for folder in ("bin", "compute-sanitizer")]
    return next((str(place) for place in places if place.is_file()), None)


def tune(day: Day) -> Stage:
    if day.dry:
        run = python(day, "tune", "-m", "tests.gpu_day.stand_ins", "tune")
    else:
        run = python(day, "tune", "-m", "fastgan", "tune", "--json")
    found = parsed(run)
    entries = found.get("entries", [])
    chosen = [each for each in entries if each["chosen"] != "reference"]
    failed = [each for each in entries if not each["passed"]]
    backend = found.get("backend", "no backend")
    said = f"{backend} for {len(chosen)} of {len(entries)} classes of shapes, {len(failed)} failed the self-check"
    made = stage("tune", "fastgan tune", run, said if entries else run.last, found)
    made.state = FAILED if failed or not entries else made.state
    return made


def race(day: Day, suite: str, precision: str) -> Stage:
    name = f"{suite}-{precision}"
    out = day.out / "bench" / name
    where = ["--device", "cpu", *TINY] if day.dry else ["--device", "cuda", "--precision", precision]
    run = python(day, name, "-m", "fastgan", "bench", suite, *where, "--out", str(out), TRITON_INTERPRET="0")
    results = out / "results.json"
    records = json.loads(results.read_text())["records"] if results.is_file() else []
    keep = ("suite", "case", "batch", "backend", "seconds_per_call", "ratio_to_best_peer", "max_rel_err", "refused")
    rows = [{key: record[key] for key in keep} for record in records if record["waiting"] == "passive"]
    timed = sum(bool(row["seconds_per_call"]) for row in rows)
    said = f"{timed} of {len(rows)} rows timed" if rows else run.last
    title = f"fastgan bench {suite}, {'fp32' if day.dry else precision}"
    return stage(name, title, run, said, {"rows": rows, "page": f"bench/{name}/report.html"})


def floors(day: Day) -> Stage:
    run = python(day, "floors", "-m", "tests.gpu_day.floors", str(day.out), TRITON_INTERPRET="0")
    found = parsed(run)
    said = found.get("said", run.last)
    return stage("floors", "Times against predicted floors", run, said, found)


def parsed(run: Run) -> dict[str, Any]:
    """The JSON object that a process printed, {} where it printed something else."""
    try:
        return json.loads(run.out[run.out.index("{") :])
    except ValueError:
        return {}


def stage(name: str, title: str, run: Run, said: str, details: dict[str, Any] | None = None) -> Stage:
    state = FAILED if run.code else PASSED
    return Stage(name, title, state, run.seconds, said, run.command, run.log, details or {})


def python(day: Day, name: str, *arguments: str, **environment: str) -> Run:
    return process(day, name, [sys.executable, *arguments], environment)


def process(day: Day, name: str, command: list[str], environment: dict[str, str]) -> Run:
    """Runs a command in the repository; its stdout, and all that it said in logs/NAME.txt."""
    log = day.out / f"logs/{name}.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=day.environment(**environment),
            capture_output=True,
            text=True,
            timeout=day.seconds,
        )
        code, out, said = done.returncode, done.stdout, done.stderr
    except subprocess.TimeoutExpired as late:
        code, out = 124, _text(late.stdout)
        said = f"{_text(late.stderr)}\nended after {day.seconds:.0f} s"
    shown = " ".join(["python" if word == sys.executable else word for word in command])
    log.write_text(f"$ {shown}\n{out}\n{said}\n")
    return Run(code, out, time.monotonic() - start, shown, str(log))


def _text(said: str | bytes | None) -> str:
    return said.decode(errors="replace") if isinstance(said, bytes) else said or ""
