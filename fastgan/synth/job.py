"""The job of one generated set: everything that its pixels and files depend on, as JSON keeps it."""

import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy
import PIL
import torch

from fastgan._version import __version__
from fastgan.errors import OutputError
from fastgan.noise import NOISE_FORMAT
from fastgan.run import Run
from fastgan.synth.blocks import BLOCK, backend, capability
from fastgan.synth.classes import class_folders, label_cycle
from fastgan.synth.writers import WRITERS, Layout, Shard, Writer

SET_FORMAT = "generated/1"
SHARD_SIZE = 1024
LARGEST_SET = 10**9

_NOT_COMPARED = ("run",)  # a run folder may be renamed; its weights are what counts
_VERSIONS_COMPARED = ("fastgan", "torch")  # the others change the bytes of files, never pixels


@dataclass(frozen=True)
class Job:
    """One generated set. Two jobs with equal fields give equal manifests on one machine.

    Attributes:
        format: "generated/1".
        run: name of the run folder.
        weights_sha256: of the file of averaged generator weights.
        noise: "noise/1".
        seed: in [0, 2^64).
        n: images in the set.
        device: "cpu" or "cuda".
        precision: "fp32", "bf16" or "fp16".
        backend: which implementation of the frozen generator computes, "cpu" or "reference".
        capability: instruction set that it uses, or name of the GPU.
        block_size: images computed at a time.
        shard_size: images committed at a time, a multiple of `block_size`.
        classes: class names of the run in the order of their labels; empty without labels.
        class_folders: folder name for each class.
        label_cycle: image i has label `label_cycle[i % len(label_cycle)]`; empty without labels.
        image: {"size": [H, W], "channels": C}.
        file_format: "imagefolder", "webdataset" or "npy".
        png_level: zlib level of PNG files; None where there are none.
        versions: of fastgan, torch, numpy, pillow and zlib in the process that started the set.
    """

    format: str
    run: str
    weights_sha256: str
    noise: str
    seed: int
    n: int
    device: str
    precision: str
    backend: str
    capability: str
    block_size: int
    shard_size: int
    classes: list[str]
    class_folders: list[str]
    label_cycle: list[int]
    image: dict[str, Any]
    file_format: str
    png_level: int | None
    versions: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """JSON values in the order of the fields."""
        return asdict(self)

    def writer(self) -> Writer:
        """The writer of the job's file format, set up for it."""
        layout = Layout(
            n=self.n,
            size=tuple(self.image["size"]),
            channels=self.image["channels"],
            cycle=self.label_cycle,
            folders=self.class_folders,
            png_level=self.png_level or 0,
        )
        return WRITERS[self.file_format](layout)

    def shards(self) -> list[Shard]:
        """All shards of the set; all but the last have `shard_size` images."""
        firsts = range(0, self.n, self.shard_size)
        return [Shard(k, first, min(self.shard_size, self.n - first)) for k, first in enumerate(firsts)]


def plan(
    run: Run,
    n: int,
    *,
    file_format: str,
    classes: str | Sequence[str | int],
    seed: int,
    device: torch.device,
    precision: str,
    png_level: int,
    shard_size: int,
) -> Job:
    """The job that these arguments ask for, on this machine.

    Raises:
        ValueError: an argument is out of range (the sentence says which and what fits).
        DataError: a class is unknown.
        RunError: the run has no whole checkpoint.
    """
    _check_range("n", n, 1, LARGEST_SET)
    _check_range("seed", seed, 0, 2**64 - 1)
    _check_range("png_level", png_level, 0, 9)
    if file_format not in WRITERS:
        raise ValueError(f"generate: format must be one of {', '.join(WRITERS)}, got {file_format!r}")
    if shard_size < BLOCK or shard_size % BLOCK:
        raise ValueError(f"generate: shard_size must be a multiple of {BLOCK}, got {shard_size}")
    chosen = backend(device, precision)
    return Job(
        format=SET_FORMAT,
        run=run.path.resolve().name,
        weights_sha256=run.weights_sha256(),
        noise=NOISE_FORMAT,
        seed=seed,
        n=n,
        device=device.type,
        precision=precision,
        backend=chosen,
        capability=capability(device, chosen),
        block_size=BLOCK,
        shard_size=shard_size,
        classes=list(run.classes),
        class_folders=list(class_folders(run.classes)),
        label_cycle=list(label_cycle(classes, run.classes)),
        image={"size": list(run.size), "channels": run.channels},
        file_format=file_format,
        png_level=None if file_format == "npy" else png_level,
        versions={
            "fastgan": __version__,
            "torch": torch.__version__,
            "numpy": numpy.__version__,
            "pillow": PIL.__version__,
            "zlib": zlib.ZLIB_RUNTIME_VERSION,
        },
    )


def first_difference(job: Job, recorded: dict[str, Any]) -> tuple[str, Any, Any] | None:
    """The first field in which a recorded job is not `job`: (name, recorded value, our value), or None."""
    ours = job.to_json()
    for name, value in ours.items():
        if name == "versions":
            theirs = recorded.get(name) or {}
            for package in _VERSIONS_COMPARED:
                if theirs.get(package) != value[package]:
                    return f"version of {package}", theirs.get(package), value[package]
        elif name not in _NOT_COMPARED and recorded.get(name) != value:
            return name, recorded.get(name), value
    return None


def require_same(job: Job, recorded: dict[str, Any], out: str) -> None:
    """Refuse to go on in a folder that belongs to another job.

    Raises:
        OutputError: names the differing field and both values.
    """
    if difference := first_difference(job, recorded):
        name, theirs, ours = difference
        raise OutputError(
            f"{out} holds another generated set: its {name} is {_short(theirs)}, "
            f"this command has {_short(ours)}; repeat the command that started it, or choose another --out"
        )


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"generate: {name} must be a whole number from {low} to {high}, got {value!r}")


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 70 else f"{text[:67]}..."
