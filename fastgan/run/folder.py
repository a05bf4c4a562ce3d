"""A run folder: config.json, metrics.jsonl, samples/ and checkpoints/, opened for reading or created."""

import contextlib
import json
import platform
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy
import torch
from filelock import FileLock, Timeout

from fastgan import files
from fastgan._version import __version__
from fastgan.errors import FastganWarning, RunError
from fastgan.models import Discriminator, Generator
from fastgan.noise import NOISE_FORMAT
from fastgan.run.checkpoint import Checkpoint, choose_whole, list_checkpoints

RUN_FORMAT = "run/1"

_PARTS = ("data", "model", "train")
_Network = TypeVar("_Network", Generator, Discriminator)


class Run:
    """One training on disk.

    Attributes:
        path: the folder.
        config: the content of config.json: `format`, `data`, `model`, `train`, `noise`, `versions`.
    """

    def __init__(self, path: Path, config: dict[str, Any]) -> None:
        self.path = Path(path)
        self.config = config

    @classmethod
    def open(cls, path: str | Path) -> "Run":
        """Open the run in folder `path`.

        Raises:
            RunError: the folder is missing or is not a run that this version reads.
        """
        path = Path(path)
        if not path.is_dir():
            raise RunError(f"run folder {path} does not exist; give the folder that `fastgan train` printed")
        try:
            config = json.loads((path / "config.json").read_text())
        except FileNotFoundError:
            raise RunError(
                f"{path} is not a run folder: it has no config.json; give the folder that `fastgan train` printed"
            ) from None
        except (OSError, ValueError) as error:
            raise RunError(f"{path / 'config.json'} cannot be read ({error}); restore it or train again") from None
        found = config.get("format") if isinstance(config, dict) else None
        if found != RUN_FORMAT:
            raise RunError(f"{path} has format {found!r}, this version of fastgan reads {RUN_FORMAT!r}")
        if missing := [part for part in _PARTS if not isinstance(config.get(part), dict)]:
            raise RunError(f"{path / 'config.json'} has no part {missing[0]!r}; restore it or train again")
        return cls(path, config)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of their labels; empty for a run trained without labels."""
        return tuple(self.config["data"]["classes"])

    @property
    def num_classes(self) -> int:
        """The number of classes, 0 for a run trained without labels."""
        return len(self.classes)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images in pixels."""
        height, width = self.config["model"]["generator"]["size"]
        return height, width

    @property
    def channels(self) -> int:
        """Channels of the images: 1 grey, 3 RGB, 4 RGBA."""
        return self.config["model"]["generator"]["channels"]

    @property
    def checkpoint_folder(self) -> Path:
        """Where the checkpoints lie."""
        return self.path / "checkpoints"

    def checkpoints(self) -> list[Checkpoint]:
        """Every checkpoint, newest first, whole or not."""
        return list_checkpoints(self.checkpoint_folder)

    def checkpoint(self, prefer: str = "best") -> Checkpoint:
        """The checkpoint to use: the `best` by KID (or the `latest`), else the newest whole one, with a warning.

        Raises:
            RunError: the run has no whole checkpoint.
        """
        chosen, warning = choose_whole(self.checkpoint_folder, prefer)
        if warning:
            warnings.warn(warning, FastganWarning, stacklevel=2)
        return chosen

    def load_generator(self, device: str | torch.device = "cpu", checkpoint: Checkpoint | None = None) -> Generator:
        """The averaged generator of `checkpoint`, by default `self.checkpoint()`, for evaluation on `device`.

        It is in evaluation mode and without gradients.
        """
        tensors = (checkpoint or self.checkpoint()).tensors("ema")
        return _load(Generator, self.config["model"]["generator"], tensors, device)

    def load_discriminator(self, device: str | torch.device = "cpu") -> Discriminator:
        """The discriminator of the best checkpoint, in evaluation mode, without gradients, on `device`."""
        tensors = self.checkpoint().tensors("discriminator")
        return _load(Discriminator, self.config["model"]["discriminator"], tensors, device)

    def weights_sha256(self) -> str:
        """SHA-256 of the file of averaged generator weights that `load_generator` uses, in hex."""
        return self.checkpoint().weights_sha256()

    def metrics(self) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl in the order they were written; empty before the first one.

        A last line that a killed process left unfinished does not count.

        Raises:
            RunError: any other line is not JSON.
        """
        path = self.path / "metrics.jsonl"
        try:
            *lines, _unfinished = path.read_text().split("\n")
        except FileNotFoundError:
            return []
        try:
            return [json.loads(line) for line in lines]
        except ValueError as error:
            raise RunError(f"{path} is damaged ({error}); restore it, or continue the training to mend it") from None

    @contextlib.contextmanager
    def training(self) -> Iterator[None]:
        """Hold the run: no other process trains in this folder meanwhile.

        Raises:
            RunError: another process does.
        """
        lock = FileLock(self.path / ".training.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise RunError(f"another process is training in {self.path}: wait for it, or stop it") from None
        try:
            yield
        finally:
            lock.release()


def create_run(path: str | Path, config: dict[str, Any]) -> Run:
    """Create a run folder with `config` (its `data`, `model` and `train` parts); format and versions are added.

    Raises:
        RunError: the folder holds something already.
    """
    path = Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        hint = "continue it with --resume, or " if (path / "config.json").exists() else ""
        raise RunError(f"output folder {path} is not empty: {hint}choose another --out")
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):  # an empty folder is as good as none
        path.mkdir()
    head = {"format": RUN_FORMAT, "noise": NOISE_FORMAT, "versions": versions()}
    config = {**head, **config}
    files.write_json(path / "config.json", config)
    return Run(path, config)


def versions() -> dict[str, str]:
    """The versions that can change a run's numbers."""
    return {
        "fastgan": __version__,
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "python": platform.python_version(),
    }


def _load(
    network: type[_Network], config: dict[str, Any], tensors: dict[str, torch.Tensor], device: str | torch.device
) -> _Network:
    with torch.device("meta"):  # no first weights are drawn
        loaded = network(**config)
    loaded.to_empty(device="cpu").load_state_dict(tensors)
    return loaded.eval().requires_grad_(False).to(device)
