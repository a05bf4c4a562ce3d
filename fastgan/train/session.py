"""From a source of images to a finished run: load, plan, build, train; and the same again for `resume`."""

import errno
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fastgan.data import ImageSet, load
from fastgan.device import resolve_device
from fastgan.errors import DataError, RunError
from fastgan.files import write_json
from fastgan.metrics.features import classifier_features, efficientnet_lite0_features
from fastgan.models import Discriminator, Generator, check_size, nearest_size
from fastgan.progress import Progress, silent
from fastgan.run import Run, create_run, load_run_images, training_images
from fastgan.run.images import Images
from fastgan.train.evaluate import LEAST_IMAGES, KidEvaluator
from fastgan.train.loop import SIGNAL, Trainer
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
    source: Images,
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
        size: (height, width) of the images, one that `fastgan.models.check_size` takes; None chooses it from the data.
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
    subset = _subset(data, options)
    training = training_images(data, subset)
    options = fill_in(options, len(training))
    folder = Path(out) if out is not None else choose_folder(data)
    config = _config(source, data, subset, options)
    networks = _networks(config["model"], options)  # before the folder: a start that fails leaves none behind
    kid = _kid(folder, data, training, options)
    run = create_run(folder, config)
    _announce(run, data, training, options, kid is not None, say)
    with run.training():
        return _train(run, Trainer(run, options, networks, _batches(training, options, networks), kid, progress))


def resume(
    path: str | Path,
    *,
    changes: dict[str, Any] | None = None,
    source: Images | None = None,
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
    with run.training():
        data = load_run_images(run, source, progress)
        training = training_images(data, run.config["data"]["subset"])
        networks = _networks(run.config["model"], options)
        kid = _kid(run.path, data, training, options)
        trainer = Trainer(run, options, networks, _batches(training, options, networks), kid, progress)
        if run.checkpoints():
            trainer.resume()
            say(f"continuing at {trainer.images:,} images")
        run.config["train"] = options.to_json()
        write_json(run.path / "config.json", run.config)
        return _train(run, trainer)


def _subset(data: ImageSet, options: TrainOptions) -> dict[str, Any]:
    """Which of the training images are trained on, as config.json records it."""
    chosen = data
    if options.real_per_class is not None:
        if data.labels is None:
            raise DataError(f"{data.name} has no labels, so --real-per-class cannot choose by class: leave it out")
        chosen = data.real_per_class(options.real_per_class, options.seed)
    training = chosen.split("train")
    if len(training) < 2:
        raise DataError(f"{data.name} has {len(training)} training images, at least 2 are needed")
    if data.labels is not None:
        counts = np.bincount(training.labels, minlength=len(data.classes))
        if (counts == 0).any():
            name = data.classes[int(counts.argmin())]
            raise DataError(f"class {name!r} of {data.name} has no training image: add some, or remove the class")
    return {
        "real_per_class": options.real_per_class,
        "images": len(training),
        "hashes": training.train_hashes() if options.real_per_class else None,
    }


def _config(source: Images, data: ImageSet, subset: dict[str, Any], options: TrainOptions) -> dict[str, Any]:
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
            "subset": subset,
        },
        "model": {"generator": {**shape, "z_dim": options.z_dim}, "discriminator": shape},
        "train": options.to_json(),
        "machine": {"device": str(resolve_device(options.device)), "threads": torch.get_num_threads()},
    }


def _announce(
    run: Run, data: ImageSet, training: ImageSet, options: TrainOptions, measures_kid: bool, say: Say
) -> None:
    height, width = data.transform.size
    kind = f"{len(data.classes)} classes" if data.classes else "no labels"
    say(
        f"{data.name}: {len(training):,} training images, {kind}, as {height}x{width}x{data.transform.channels}"
        + (f"; {len(data.skipped)} files skipped (the first: {_first_skipped(data)})" if data.skipped else "")
    )
    say(f"budget: {options.images:,} images, a snapshot every {options.snapshot_images:,}; seed {options.seed}")
    if not measures_kid:
        say(
            f"no KID: it needs {LEAST_IMAGES} training and {LEAST_IMAGES} validation images; the budget alone ends this"
        )
    say(f"output: {run.path}")


def _first_skipped(data: ImageSet) -> str:
    path, reason = data.skipped[0]
    return f"{path}: {reason}"


def _networks(model: dict[str, Any], options: TrainOptions) -> Networks:
    device = resolve_device(options.device)
    generator, discriminator = Generator(**model["generator"]), Discriminator(**model["discriminator"])
    generator.init_weights(options.seed)
    discriminator.init_weights(options.seed)
    return Networks(generator.to(device), discriminator.to(device), options)


def _batches(training: ImageSet, options: TrainOptions, networks: Networks) -> RealBatches:
    return RealBatches(training, options.batch, options.seed, options.flip, networks.device)


def _kid(
    folder: Path, data: ImageSet, training: ImageSet, options: TrainOptions
) -> Callable[[Progress], KidEvaluator] | None:
    """How to make the evaluator at the first snapshot, so that training shows its speed at once; None without KID."""
    validation = data.split("val").by_content()
    if min(len(validation), len(training)) < LEAST_IMAGES:
        return None
    if training.labels is None:
        extractor = efficientnet_lite0_features()  # here already: without its package training must not begin
        return lambda progress: KidEvaluator(extractor, training, validation, options)

    def make(progress: Progress) -> KidEvaluator:
        extractor = classifier_features(
            training.images,
            training.labels,
            num_classes=len(training.classes),
            folder=folder,
            seed=options.seed,
            progress=progress,
        )
        return KidEvaluator(extractor, training, validation, options)

    return make


def _train(run: Run, trainer: Trainer) -> Outcome:
    with stop_request() as stop:
        try:
            reason = trainer.train(stop)
        except OSError as error:
            raise _refused_by_the_disk(run, error) from None
    return Outcome(run, reason, trainer.images, stop.signal if reason == SIGNAL else None)


def _refused_by_the_disk(run: Run, error: OSError) -> RunError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    what = "the disk is full" if full else f"{error.filename or run.path} cannot be written: {error.strerror or error}"
    way_out = "make room" if full else "mend that"
    if not run.checkpoints():
        return RunError(f"{what}; no checkpoint had been written yet: {way_out} and train again")
    return RunError(f"{what}; {way_out} and continue with: fastgan train --resume {run.path}")
