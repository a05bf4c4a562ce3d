"""The whole product once: data, training, images, study, report; it goes on where it was stopped."""

import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from fastgan.data import fetch
from fastgan.device import resolve_device
from fastgan.errors import DataError, OutputError
from fastgan.files import write_json
from fastgan.progress import Progress, silent
from fastgan.run import Run
from fastgan.synth import produce
from fastgan.tasks.classify import StudyOptions, study_classify
from fastgan.tasks.report import REPORT_FILE, write_report
from fastgan.tasks.report_facts import Generated
from fastgan.train import TrainOptions, resume, train

DEMO_FORMAT = "demo/1"
_STATE_FILE = "demo.json"
_FIRST_CHOICE, _ALWAYS_THERE = "fashion-mnist", "digits"
_SNAPSHOTS = 12

Bar = Callable[[str], AbstractContextManager[Progress]]


@dataclass(frozen=True)
class DemoOptions:
    """The settings of a demo; the defaults take about ten minutes on two cores.

    Attributes:
        data: a data set's name, or a path; None takes Fashion-MNIST if it can be had, else digits.
        images: training budget in real images shown.
        minutes: training ends after this much time at the latest.
        n: synthetic images.
        seeds: trainings of each arm of the study.
        steps: optimiser steps of each of them; None chooses them from the data.
        real_per_class: train and study on this many real images of each class only; None for all.
        seed: key of the training's randomness.
        device: where every part runs: auto, cpu or cuda.
        precision: of every network: fp32, bf16 or fp16.
    """

    data: str | None = None
    images: int = 200_000
    minutes: float = 4.5
    n: int = 10_000
    seeds: int = 5
    steps: int | None = None
    real_per_class: int | None = None
    seed: int = 0
    device: str = "auto"
    precision: str = "fp32"

    def __post_init__(self) -> None:
        self.training(), self.study()  # each says what is wrong with its own

    def training(self) -> TrainOptions:
        """The options of the training."""
        return TrainOptions(
            images=self.images,
            minutes=self.minutes,
            snapshot_images=-(-self.images // _SNAPSHOTS),
            real_per_class=self.real_per_class,
            seed=self.seed,
            device=self.device,
            precision=self.precision,
        )

    def study(self) -> StudyOptions:
        """The options of the study."""
        return StudyOptions(
            seeds=self.seeds, steps=self.steps, synthetic=self.n, device=self.device, precision=self.precision
        )


@dataclass(frozen=True)
class DemoOutcome:
    """How a demo ended: the page, or None and the number of the `signal` that stopped the training."""

    report: Path | None
    signal: int | None


def demo(
    out: str | Path,
    options: DemoOptions | None = None,
    *,
    bar: Bar = lambda title: nullcontext(silent),
    say: Callable[[str], None] = lambda text: None,
) -> DemoOutcome:
    """Make OUT/run, OUT/synthetic and OUT/report.html; called again with the same options it goes on.

    Args:
        out: a folder, new, empty, or holding the same demo.
        options: settings.
        bar: gives a progress report for a title, as `fastgan.cli.console.progress_bar`.
        say: receives one line of text now and then.

    Raises:
        OutputError: `out` holds something else, or a demo with other options.
        DataError, RunError: the data cannot be used, or the training failed.
    """
    options, out = options or DemoOptions(), Path(out)
    state = _State.open(out, options)
    say("[1/5] data")
    with bar("data") as progress:
        source, note = _data(options, state, progress)
    say(note)
    say("[2/5] training")
    with bar("training") as progress:
        stopped = _train(source, out / "run", options, state, progress, say)
    if stopped is not None:
        return DemoOutcome(None, stopped)
    run = Run.open(out / "run")
    say(f"[3/5] generating {options.n:,} images")
    with bar("generating") as progress:
        generated = _generate(run, out / "synthetic", options, state, progress)
    say(f"images: {generated.folder}")
    study = None
    if run.classes:
        say("[4/5] study: do the images help a classifier?")
        settings = options.study()
        with bar("study") as progress:
            study = study_classify(
                run,
                settings,
                command=settings.command_line(run.path),
                progress=progress,
                say=say,
            )
        say(study["sentence"])
    else:
        say("[4/5] no study: the images have no labels")
    say("[5/5] report")
    notes = (note,) if options.data is None and source != _FIRST_CHOICE else ()
    with bar("report") as progress:
        report = write_report(
            run,
            out / REPORT_FILE,
            device=options.device,
            precision=options.precision,
            generated=generated,
            notes=notes,
            progress=progress,
        )
    return DemoOutcome(report, None)


class _State:
    """OUT/demo.json: the options of the demo in this folder, and what each finished step has to say."""

    def __init__(self, path: Path, content: dict[str, Any]) -> None:
        self._path, self._content = path, content

    @classmethod
    def open(cls, out: Path, options: DemoOptions) -> "_State":
        path = out / _STATE_FILE
        try:
            content = json.loads(path.read_text())
        except FileNotFoundError:
            if out.exists() and (not out.is_dir() or any(out.iterdir())):
                raise OutputError(f"{out} is not empty and holds no demo: choose another --out") from None
            content = {"format": DEMO_FORMAT, "options": asdict(options), "done": {}}
            write_json(path, content)
        except (OSError, ValueError) as error:
            raise OutputError(f"{path} cannot be read ({error}): choose another --out") from None
        if content.get("format") != DEMO_FORMAT or content.get("options") != asdict(options):
            raise OutputError(f"{out} holds a demo with other options: give the same ones, or choose another --out")
        return cls(path, content)

    def get(self, step: str) -> Any:
        """What `step` left, or None."""
        return self._content["done"].get(step)

    def put(self, step: str, value: Any) -> None:
        """Record that `step` is finished."""
        self._content["done"][step] = value
        write_json(self._path, self._content)


def _data(options: DemoOptions, state: _State, progress: Progress) -> tuple[str, str]:
    """The source to train on, and a sentence about it."""
    if state.get("data") is None:
        state.put("data", _choose_data(options.data, progress))
    source, note = state.get("data")
    return source, note


def _choose_data(wanted: str | None, progress: Progress) -> tuple[str, str]:
    if wanted is not None:
        return wanted, f"Data: {wanted}, as asked for."
    try:
        fetch(_FIRST_CHOICE, progress=progress)
    except DataError as error:
        reason = str(error).rstrip(".")
        return _ALWAYS_THERE, f"Data: {_ALWAYS_THERE}, because {_FIRST_CHOICE} could not be had: {reason}."
    return _FIRST_CHOICE, f"Data: {_FIRST_CHOICE}."


def _train(
    source: str,
    folder: Path,
    options: DemoOptions,
    state: _State,
    progress: Progress,
    say: Callable[[str], None],
) -> int | None:
    """Train, or go on training; the number of the signal that stopped it, if one did."""
    if state.get("train") is not None:
        say(f"training is finished: {state.get('train')['reason']}")
        return None
    if (folder / "config.json").exists():
        outcome = resume(folder, progress=progress, say=say)
    else:
        shutil.rmtree(folder, ignore_errors=True)  # killed before anything but the folder was there
        outcome = train(source, folder, options=options.training(), progress=progress, say=say)
    if outcome.interrupted is not None:
        return outcome.interrupted
    state.put("train", {"reason": outcome.reason, "images": outcome.images})
    return None


def _generate(run: Run, folder: Path, options: DemoOptions, state: _State, progress: Progress) -> Generated:
    outcome = produce(run, options.n, folder, device=options.device, precision=options.precision, progress=progress)
    here = {
        "device": resolve_device(options.device).type,
        "precision": options.precision,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    if outcome.written == outcome.total:
        state.put("generate", {"seconds": outcome.seconds, **here})
    return Generated(folder, options.n, 0, **(state.get("generate") or {"seconds": None, **here}))
