"""What a training can be told, with the defaults that work, as one record that config.json keeps."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from fastgan import losses
from fastgan.device import PRECISIONS
from fastgan.models import PRESETS

CONTINUABLE = ("images", "minutes", "patience", "device")


@dataclass(frozen=True)
class TrainOptions:
    """The settings of one training.

    Attributes:
        images: budget, as the number of real images shown to the discriminator; None chooses it from the data.
        minutes: stop after this much training time even if the budget is not used up; None for no limit.
        patience: stop when KID has not improved for this many snapshots in a row; 0 never stops on it.
        snapshot_images: images between two snapshots (checkpoint, sample grid, KID); None chooses it.
        batch: images a step.
        loss: one of `losses.FAMILIES`.
        lr_generator: Adam's learning rate of the generator; None takes the preset's, 8e-4 for `keras` and 2e-4 for
            `dcgan` (that of the PyTorch example).
        lr_discriminator: Adam's learning rate of the discriminator; likewise.
        beta1: Adam's first decay rate.
        beta2: Adam's second decay rate.
        ema: decay of the averaged generator a step; approached from below over the first steps.
        width: channels of the generator's last hidden map and of the discriminator's first.
        z_dim: length of the latent vector.
        preset: `keras` or `dcgan`.
        seed: key of all randomness of the run (format noise/1).
        precision: fp32, bf16 or fp16, for convolutions and linear layers.
        device: auto, cpu or cuda.
        real_per_class: train on this many images of each class only; None for all.
        flip: mirror half of the real images left to right.
        kid_images: real and generated images a KID evaluation compares, at most.
    """

    images: int | None = None
    minutes: float | None = None
    patience: int = 10
    snapshot_images: int | None = None
    batch: int = 32
    loss: str = "non_saturating"
    lr_generator: float | None = None
    lr_discriminator: float | None = None
    beta1: float = 0.5
    beta2: float = 0.999
    ema: float = 0.999
    width: int = 64
    z_dim: int = 100
    preset: str = "keras"
    seed: int = 0
    precision: str = "fp32"
    device: str = "auto"
    real_per_class: int | None = None
    flip: bool = False
    kid_images: int = 2000

    def __post_init__(self) -> None:
        if self.loss not in losses.FAMILIES:
            raise ValueError(f"train: loss must be one of {', '.join(losses.FAMILIES)}, got {self.loss!r}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"train: precision must be one of {', '.join(PRECISIONS)}, got {self.precision!r}")
        if self.preset not in PRESETS:
            raise ValueError(f"train: preset must be one of {', '.join(PRESETS)}, got {self.preset!r}")
        at_least = {"batch": 2, "width": 1, "z_dim": 1, "kid_images": 10, "patience": 0}
        for name, least in at_least.items():
            if getattr(self, name) < least:
                raise ValueError(f"train: {name} must be at least {least}, got {getattr(self, name)}")
        for name in ("images", "snapshot_images", "real_per_class", "minutes", "lr_generator", "lr_discriminator"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"train: {name} must be positive, got {value}")
        if not 0 <= self.ema < 1:
            raise ValueError(f"train: ema must be in [0, 1), got {self.ema}")
        if not 0 <= self.seed < 2**64:
            raise ValueError(f"train: seed must be in [0, 2**64), got {self.seed}")

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values, for config.json."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "TrainOptions":
        """The record that `to_json` wrote; keys this version does not know are an error.

        Raises:
            ValueError: an unknown key or a value out of range.
        """
        unknown = sorted(set(values) - {f.name for f in fields(cls)})
        if unknown:
            raise ValueError(
                f"train: unknown options {', '.join(unknown)} in config.json; use the version that wrote it"
            )
        return cls(**values)
