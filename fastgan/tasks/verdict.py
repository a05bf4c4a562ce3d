"""From the outcomes of a study to its record: accuracies, differences, and sentences a reader may quote."""

import json
import platform
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fastgan.metrics.batches import Augment
from fastgan.run import Run
from fastgan.tasks.real import RealImages
from fastgan.tasks.statistics import mean_interval, paired_difference, verdict_sentence
from fastgan.tasks.trainings import Outcome, cores

STUDY_FORMAT = "study/1"
RESULT_FILE = "study/classify.json"
REAL, BOTH, SYNTHETIC = "real", "real+synthetic", "synthetic"
ARMS = (REAL, BOTH, SYNTHETIC)


@dataclass(frozen=True)
class AugmentChoice:
    """Strengths of augmentation, and the validation accuracy in [0, 1] of each (none if none was tried)."""

    candidates: tuple[Augment, ...]
    accuracies: tuple[float, ...]
    validation_images: int

    @property
    def chosen(self) -> Augment:
        """The best on the validation images, the weaker one on a tie; shifts alone where there are none."""
        if not self.accuracies:
            return self.candidates[1]
        return self.candidates[int(np.argmax(self.accuracies))]

    def in_words(self) -> str:
        """The choice and its reason."""
        if not self.accuracies:
            return f"{augmentation_words(self.chosen)}, for want of validation images to choose by"
        tried = zip(self.candidates, self.accuracies, strict=True)
        listed = ", ".join(f"{augmentation_words(a)} {100 * accuracy:.2f} %" for a, accuracy in tried)
        return f"{augmentation_words(self.chosen)} (validation accuracy: {listed})"

    def to_json(self) -> dict[str, Any]:
        """The choice and everything it was made by."""
        tried = zip(self.candidates, self.accuracies, strict=bool(self.accuracies))
        return {
            **asdict(self.chosen),
            "in_words": self.in_words(),
            "validation_images": self.validation_images,
            "tried": [{**asdict(a), "validation_accuracy": accuracy} for a, accuracy in tried],
        }


def augmentation_words(augment: Augment) -> str:
    """The augmentation as a phrase."""
    parts = [
        *([f"shifts up to {augment.shift} px"] if augment.shift else []),
        *(["mirror images"] if augment.flip else []),
    ]
    return " and ".join(parts) or "none"


def summarise(
    outcomes: dict[str, list[Outcome]],
    *,
    run: Run,
    real: RealImages,
    augmentation: AugmentChoice,
    settings: dict[str, Any],
    command: str | None,
) -> dict[str, Any]:
    """The record of a study, format study/1, as JSON values.

    outcomes: for each arm one `Outcome` a seed, in the order of the seeds.
    """
    correct = {arm: np.stack([o.correct for o in outcomes[arm]]) for arm in ARMS}
    differences = {
        BOTH: paired_difference(correct[BOTH], correct[REAL]),
        SYNTHETIC: paired_difference(correct[SYNTHETIC], correct[REAL]),
    }
    test_images = len(real.test)
    return {
        "format": STUDY_FORMAT,
        "verdict": differences[BOTH].verdict,
        "sentence": verdict_sentence(
            differences[BOTH], real=len(real.training), synthetic=settings["synthetic"], test_images=test_images
        ),
        "conditions": _conditions(run, real, augmentation, settings),
        "images": {
            "real": len(real.training),
            "real_per_class": run.config["data"]["subset"]["real_per_class"],
            "validation": len(real.validation),
            "test": test_images,
            "synthetic": settings["synthetic"],
        },
        "arms": {
            arm: {
                "accuracy": mean_interval(correct[arm].mean(1)).within(0.0, 1.0).to_json(),
                "by_seed": [o.accuracy for o in outcomes[arm]],
                "seconds": [round(o.seconds, 1) for o in outcomes[arm]],
            }
            for arm in ARMS
        },
        "minus_real": {arm: d.to_json() for arm, d in differences.items()},
        "augmentation": augmentation.to_json(),
        "settings": settings,
        "command": command,
        "machine": {"cores": cores(), "torch_threads_per_training": 1, "platform": platform.platform()},
    }


def _conditions(run: Run, real: RealImages, augmentation: AugmentChoice, settings: dict[str, Any]) -> str:
    subset = run.config["data"]["subset"]["real_per_class"]
    some = f" ({subset:,} of each class)" if subset else ""
    kid = any("kid" in row for row in run.metrics())
    chose = [
        *(["the checkpoint of the GAN by KID"] if kid else []),
        *(["the augmentation"] if augmentation.validation_images else []),
    ]
    validation = (
        f"{len(real.validation):,} validation images chose {' and '.join(chose)}"
        if chose
        else "No validation images were used"
    )
    return (
        f"The GAN and the classifiers saw the same {len(real.training):,} real images{some}. {validation}; "
        f"no image decided when a classifier stopped: each took {settings['steps']:,} steps of "
        f"{settings['batch']} images. "
        f"No test image is among the training, validation or synthetic images, by content."
    )


def read_study(run: Run) -> dict[str, Any] | None:
    """The record that the last study of `run` left, or None; a damaged or older record counts as none."""
    try:
        record = json.loads((run.path / RESULT_FILE).read_text())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and record.get("format") == STUDY_FORMAT else None
