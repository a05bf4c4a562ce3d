"""From a source of images to a finished run: load, plan, build, train; and the same again for `resume`."""

import errno
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fastgan.data import ImageSet, Transform, load
from fastgan.device import resolve_device
from fastgan.errors import DataError, RunError
from fastgan.files import write_json
from fastgan.metrics.features import classifier_features, efficientnet_lite0_features
from fastgan.models import Discriminator, Generator, check_size, nearest_size
from fastgan.progress import Progress, silent
from fastgan.run import Run, create_run
from fastgan.train.evaluate import LEAST_IMAGES, KidEvaluator
from fastgan.train.loop import Trainer
from fastgan.train.networks import Networks
from fastgan.train.options import CONTINUABLE, TrainOptions
from fastgan.train.order import RealBatches
from fastgan.train.plan import choose_folder, fill_in
from fastgan.train.signals import stop_request

Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Attributes:
        run: the run folder.
        reason: why it stopped, in words.
        images: real images shown in all.
        interrupted: the number of the signal that stopped it, or None.
    """

    run: Run
    reason: str
    images: int
    interrupted: int | None


def train(
    source: str | Path | np.ndarray | tuple[np.ndarray, np.ndarray],
    out: str | Path | None = None,
    *,
    options: TrainOptions | None = None,
    size: tuple[int, int] | None = None,
    fit: str = "crop",
    channels: str | int = "auto",
    alpha: str = "white",
    progress: Progress = silent,
    say: Say = lambda text: None,
) -> Outcome:
    """Train a GAN on images and leave a run folder.

    On the CPU the weights are a function of the data, the options, the number of threads and the versions in
    config.json: stopping and resuming does not change a bit of them.

    Args:
        source: a folder, archive, .npz, .npy or IDX file, a data set's name, or arrays (see `fastgan.data.load`).
        out: the run folder, new or empty; None takes the first free `runs/NAME`.
        options: settings; those left at None are chosen from the data.
        size: (height, width) of the images, each 4..7 times a power of two; None chooses it from the data.
        fit, channels, alpha: how images are brought to that form, see `fastgan.data.Transform`.
        progress: receives (images, budget, speed).
        say: receives one line of text now and then: what was chosen, what was skipped.

    Raises:
        DataError: the images cannot be used.
        RunError: `out` is not empty, or the training failed; its last checkpoint stays.
        ValueError: an option out of range, or an impossible size (the message names the nearest one).
    """
    options = options or TrainOptions()
    if size is not None:
        check_size(size)
    data = load(source, size=size, fit=fit, channels=channels, alpha=alpha, valid_size=nearest_size, progress=progress)
    training = _training_images(data, options)
    options = fill_in(options, len(training))
    folder = Path(out) if out is not None else choose_folder(data)
    run = create_run(folder, _config(source, data, training, options))
    _announce(run, data, training, options, say)
    return _run(run, data, training, options, progress, say, resume=False)


def resume(
    path: str | Path,
    *,
    changes: dict[str, Any] | None = None,
    source: str | Path | np.ndarray | tuple[np.ndarray, np.ndarray] | None = None,
    progress: Progress = silent,
    say: Say = lambda text: None,
) -> Outcome:
    """Continue the training in the run folder `path` from its newest whole checkpoint.

    Args:
        path: the run folder.
        changes: new values for `images`, `minutes`, `patience` or `device`; anything else belongs to the run.
        source: where the same images lie now, if they moved.
        progress, say: as for `train`.

    Raises:
        RunError: not a run, no whole checkpoint, an option that cannot change, or other images than the run's.
    """
    run = Run.open(path)
    options = TrainOptions.from_json(run.config["train"])
    changes = {k: v for k, v in (changes or {}).items() if v is not None}
    if fixed := sorted(k for k in changes if k not in CONTINUABLE and changes[k] != getattr(options, k)):
        raise RunError(f"{fixed[0]} of {run.path} cannot change on resume: only {', '.join(CONTINUABLE)} can")
    options = fill_in(replace(options, **changes), 0)
    transform = Transform.from_json(run.config["data"]["transform"])
    source = run.config["data"]["source"] if source is None else source
    if source is None:
        raise RunError(f"{run.path} was trained on arrays: give them again to continue")
    data = load(
        source,
        size=transform.size,
        fit=transform.fit,
        channels=transform.channels,
        alpha=transform.alpha,
        progress=progress,
    )
    if data.describe()["sha256"] != run.config["data"]["sha256"]:
        raise RunError(f"the images in {source} are not those {run.path} was trained on: restore them or train anew")
    run.config["train"] = options.to_json()
    write_json(run.path / "config.json", run.config)
    return _run(run, data, _training_images(data, options), options, progress, say, resume=True)


def _training_images(data: ImageSet, options: TrainOptions) -> ImageSet:
    training = data.split("train")
    if options.real_per_class is not None:
        if data.labels is None:
            raise DataError(f"{data.name} has no labels, so --real-per-class cannot choose by class: leave it out")
        training = data.real_per_class(options.real_per_class, options.seed).split("train")
    if len(training) < 2:
        raise DataError(f"{data.name} has {len(training)} training images, at least 2 are needed")
    return training


def _config(source: Any, data: ImageSet, training: ImageSet, options: TrainOptions) -> dict[str, Any]:
    height, width = data.transform.size
    shape = {
        "size": [height, width],
        "channels": data.transform.channels,
        "width": options.width,
        "num_classes": len(data.classes),
        "preset": options.preset,
    }
    place = None
    if isinstance(source, (str, Path)):
        place = str(Path(source).resolve()) if Path(source).exists() else str(source)
    return {
        "data": {
            "source": place,
            **data.describe(),
            "subset": {
                "real_per_class": options.real_per_class,
                "images": len(training),
                "hashes": training.train_hashes() if options.real_per_class else None,
            },
        },
        "model": {"generator": {**shape, "z_dim": options.z_dim}, "discriminator": shape},
        "train": options.to_json(),
        "machine": {"device": str(resolve_device(options.device)), "threads": torch.get_num_threads()},
    }


def _announce(run: Run, data: ImageSet, training: ImageSet, options: TrainOptions, say: Say) -> None:
    height, width = data.transform.size
    kind = f"{len(data.classes)} classes" if data.classes else "no labels"
    say(
        f"{data.name}: {len(training):,} training images, {kind}, as {height}x{width}x{data.transform.channels}"
        + (f"; {len(data.skipped)} files skipped (the first: {_first_skipped(data)})" if data.skipped else "")
    )
    say(f"budget: {options.images:,} images, a snapshot every {options.snapshot_images:,}; seed {options.seed}")
    say(f"output: {run.path}")


def _first_skipped(data: ImageSet) -> str:
    path, reason = data.skipped[0]
    return f"{path}: {reason}"


def _run(
    run: Run,
    data: ImageSet,
    training: ImageSet,
    options: TrainOptions,
    progress: Progress,
    say: Say,
    resume: bool,
) -> Outcome:
    device = resolve_device(options.device)
    with stop_request() as stop:
        kid = _kid(run, data, training, options, say)
        model = run.config["model"]
        generator, discriminator = Generator(**model["generator"]), Discriminator(**model["discriminator"])
        generator.init_weights(options.seed)
        discriminator.init_weights(options.seed)
        networks = Networks(generator.to(device), discriminator.to(device), options)
        batches = RealBatches(training, options.batch, options.seed, options.flip, device)
        trainer = Trainer(run, options, networks, batches, kid, progress)
        if resume and run.checkpoints():
            trainer.resume()
            say(f"continuing at {trainer.images:,} images")
        try:
            reason = trainer.train(stop)
        except OSError as error:
            raise _refused_by_the_disk(run, error) from None
    return Outcome(run, reason, trainer.images, stop.signal)


def _refused_by_the_disk(run: Run, error: OSError) -> RunError:
    what = (
        "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else f"{run.path}: {error.strerror or error}"
    )
    if not run.checkpoints():
        return RunError(f"{what}; no checkpoint had been written yet: make room and train again")
    return RunError(f"{what}; make room and continue with: fastgan train --resume {run.path}")


def _kid(
    run: Run, data: ImageSet, training: ImageSet, options: TrainOptions, say: Say
) -> Callable[[Progress], KidEvaluator] | None:
    """How to make the evaluator at the first snapshot, so that training shows its speed at once; None without KID."""
    validation = data.split("val")
    if min(len(validation), len(training)) < LEAST_IMAGES:
        say(
            f"no KID: {len(validation)} validation and {len(training)} training images, {LEAST_IMAGES} of each are "
            "needed; training goes on to its budget"
        )
        return None
    if training.labels is None:
        extractor = efficientnet_lite0_features()  # here already: without its package training must not begin
        return lambda progress: KidEvaluator(extractor, training, validation, options)

    def make(progress: Progress) -> KidEvaluator:
        extractor = classifier_features(
            training.images,
            training.labels,
            num_classes=len(training.classes),
            folder=run.path,
            seed=options.seed,
            progress=progress,
        )
        return KidEvaluator(extractor, training, validation, options)

    return make
