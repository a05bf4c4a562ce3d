"""The study: does a classifier gain from a run's images? Real, real + synthetic, synthetic only."""

import shlex
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fastgan.device import DEVICES, PRECISIONS, resolve_device
from fastgan.errors import RunError
from fastgan.files import write_json
from fastgan.metrics.batches import Augment, Mix
from fastgan.metrics.classifier import (
    BATCH,
    LR,
    WEIGHT_DECAY,
    auto_steps,
    predict,
    train_classifier,
)
from fastgan.progress import Progress, silent
from fastgan.run import Run
from fastgan.run.folder import versions
from fastgan.tasks.real import RealImages, check_no_leak, load_real
from fastgan.tasks.synthetic import synthetic_images
from fastgan.tasks.trainings import Outcomes, StepCount, Training, cores, run_all
from fastgan.tasks.verdict import (
    ARMS,
    BOTH,
    REAL,
    RESULT_FILE,
    SYNTHETIC,
    AugmentChoice,
    augmentation_words,
    summarise,
)

TRAININGS_FILE = "study/trainings.json"
MOST_SYNTHETIC = 10_000


@dataclass(frozen=True)
class StudyOptions:
    """The settings of a study.

    Attributes:
        seeds: trainings of each arm, with seeds 0 .. seeds - 1; five or more give an interval worth reading.
        steps: optimiser steps of every training in every arm; None chooses them from the number of real images.
        synthetic: synthetic images; None takes as many as real ones, at most 10,000.
        synthetic_seed: seed of the synthetic images, as in `fastgan generate --seed`.
        share: part of each batch of the mixed arm that is synthetic; of `batch` images at least one is real and
            at least one synthetic.
        batch: images a step.
        device: auto, cpu or cuda.
        precision: fp32, bf16 or fp16, of the classifiers.
    """

    seeds: int = 5
    steps: int | None = None
    synthetic: int | None = None
    synthetic_seed: int = 0
    share: float = 0.5
    batch: int = BATCH
    device: str = "auto"
    precision: str = "fp32"

    def __post_init__(self) -> None:
        for name, least in {"seeds": 1, "steps": 1, "synthetic": 1, "batch": 2}.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"study: {name} must be at least {least}, got {value}")
        if not 0 < self.share < 1:
            raise ValueError(f"study: share must be in (0, 1), got {self.share}")
        synthetic = round(self.batch * self.share)
        if not 0 < synthetic < self.batch:
            raise ValueError(
                f"study: share {self.share} of a batch of {self.batch} is {synthetic} synthetic images, at least 1 and "
                f"at most {self.batch - 1} are needed: give another share or a larger batch"
            )
        if not 0 <= self.synthetic_seed < 2**64:
            raise ValueError(f"study: synthetic_seed must be in [0, 2**64), got {self.synthetic_seed}")
        if self.device.split(":")[0] not in DEVICES:
            raise ValueError(f"study: device must be one of {', '.join(DEVICES)}, got {self.device!r}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"study: precision must be one of {', '.join(PRECISIONS)}, got {self.precision!r}")

    def command_line(self, run: Path, data: str | Path | None = None) -> str:
        """The command that makes this study of the run in folder `run`, whose data are at `data` if they moved."""
        words = ["fastgan", "study", "classify", "--run", str(run)]
        words += ["--data", str(data)] if data is not None else []
        for field in fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                words += [f"--{field.name.replace('_', '-')}", str(value)]
        return shlex.join(words)


@dataclass(frozen=True)
class Study:
    """Everything the trainings read: the images of all sides and the settings with nothing left open."""

    run: Run
    options: StudyOptions
    real: RealImages
    fake_images: np.ndarray
    fake_labels: np.ndarray
    device: torch.device

    def key(self) -> dict[str, Any]:
        """All that can change a training's outcome, except its arm, seed and augmentation."""
        return {
            "weights_sha256": self.run.weights_sha256(),
            **{f"{name}_sha256": getattr(self.real, name).describe()["sha256"] for name in _SIDES},
            **{k: v for k, v in asdict(self.options).items() if k not in ("seeds", "device")},
            "lr": LR,
            "weight_decay": WEIGHT_DECAY,
            "device": str(self.device),
            "versions": versions(),
        }


_SIDES = ("training", "validation", "test")


def study_classify(
    run: str | Path | Run,
    options: StudyOptions | None = None,
    *,
    data: str | Path | None = None,
    command: str | None = None,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Train the same small CNN on three sources and compare them on test images that nothing has seen.

    1. `real`: exactly the images the GAN was trained on, with the classic augmentation (shifts, mirror images)
       that the validation images prefer.
    2. `real+synthetic`: the same, with a share of every batch synthetic.
    3. `synthetic`: synthetic images alone.

    All arms have the same network, batch, number of optimiser steps and augmentation, and seed s starts from
    the same weights in each. Nothing decides when a training stops. The result is written to
    RUN/study/classify.json (format study/1) and returned; trainings that RUN/study already holds are not
    repeated.

    Args:
        run: a run folder, or a `Run`.
        options: settings.
        data: where the run's images are now; None looks where the run found them.
        command: the command line to record.
        progress: receives optimiser steps.
        say: receives one line of text now and then.

    Raises:
        RunError: the run has no labels, its data are not those it recorded, or a test image is on another side.
        DataError: the source of the data is gone or cannot be read.
    """
    run = run if isinstance(run, Run) else Run.open(run)
    study = _prepare(run, options or StudyOptions(), data, progress, say)
    settings, folder = study.options, study.run.path
    outcomes = Outcomes(folder / TRAININGS_FILE, study.key())
    workers = 1 if study.device.type == "cuda" else cores()
    trials = _trials(study)
    count = StepCount((len(trials) + len(ARMS) * settings.seeds) * settings.steps, progress)
    run_all(trials, outcomes, steps=settings.steps, workers=workers, count=count)
    augmentation = _choose(study, outcomes)
    say(f"augmentation: {augmentation.in_words()}")
    run_all(_arms(study, augmentation.chosen), outcomes, steps=settings.steps, workers=workers, count=count)
    result = summarise(
        {arm: [outcomes.get(_name(arm, s)) for s in range(settings.seeds)] for arm in ARMS},
        run=study.run,
        real=study.real,
        augmentation=augmentation,
        settings=study.key() | {"seeds": settings.seeds},
        command=command,
    )
    write_json(folder / RESULT_FILE, result)
    return result


def _prepare(
    run: Run, options: StudyOptions, data: str | Path | None, progress: Progress, say: Callable[[str], None]
) -> Study:
    """Load and generate all images, fix open settings, and check that no test image is on another side."""
    if not run.classes:
        raise RunError(f"{run.path} was trained without labels, so it has no classes to study: train on class folders")
    real = load_real(run, data, progress)
    if len(real.test) == 0:
        raise RunError(f"{run.path} has no test images to measure on: add images to {run.config['data']['source']}")
    n = len(real.training)
    settings = {
        **asdict(options),
        "steps": options.steps or auto_steps(n, options.batch),
        "synthetic": options.synthetic or min(n, MOST_SYNTHETIC),
    }
    options = StudyOptions(**settings)
    device = resolve_device(options.device)
    say(
        f"{n:,} real and {options.synthetic:,} synthetic training images, {len(real.test):,} test images; "
        f"{len(ARMS)} arms of {options.seeds} trainings of {options.steps} steps of {options.batch} images"
    )
    fake_images, fake_labels = synthetic_images(run, options.synthetic, seed=options.synthetic_seed, device=device)
    check_no_leak(
        real.test.images,
        training=real.training.images,
        validation=real.validation.images,
        synthetic=fake_images,
    )
    return Study(run, options, real, fake_images, fake_labels, device)


def _name(arm: str, seed: int) -> str:
    return f"{arm} seed {seed}"


def _trial(augment: Augment) -> str:
    return f"augmentation {augmentation_words(augment)}"


def _trials(study: Study) -> dict[str, Training]:
    """One training on the real images for each strength of augmentation, judged by validation images."""
    held_out = study.real.validation
    if len(held_out) == 0:
        return {}
    return {
        _trial(augment): _training(study, REAL, 0, augment, held_out.images, held_out.labels)
        for augment in Augment.candidates(*study.run.size)
    }


def _choose(study: Study, outcomes: Outcomes) -> AugmentChoice:
    held_out = len(study.real.validation)
    candidates = Augment.candidates(*study.run.size)
    accuracies = tuple(outcomes.get(_trial(c)).accuracy for c in candidates) if held_out else ()
    return AugmentChoice(candidates, accuracies, held_out)


def _arms(study: Study, augment: Augment) -> dict[str, Training]:
    test = study.real.test
    return {
        _name(arm, seed): _training(study, arm, seed, augment, test.images, test.labels)
        for seed in range(study.options.seeds)
        for arm in ARMS
    }


def _training(
    study: Study, arm: str, seed: int, augment: Augment, judged_images: np.ndarray, judged_labels: np.ndarray
) -> Training:
    options, training = study.options, study.real.training
    images, labels, mix = {
        REAL: (training.images, training.labels, None),
        BOTH: (training.images, training.labels, Mix(study.fake_images, study.fake_labels, options.share)),
        SYNTHETIC: (study.fake_images, study.fake_labels, None),
    }[arm]

    def train(report: Progress) -> np.ndarray:
        model = train_classifier(
            images,
            labels,
            num_classes=study.run.num_classes,
            steps=options.steps,
            batch=options.batch,
            seed=seed,
            augment=augment,
            mix=mix,
            device=study.device,
            precision=options.precision,
            progress=report,
        )
        return predict(model, judged_images) == judged_labels

    return train
