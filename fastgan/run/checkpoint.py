"""Checkpoints: four safetensors files and a state, written as one unit and checked by their hashes."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save

from fastgan import files
from fastgan.errors import RunError

CHECKPOINT_FORMAT = "checkpoint/1"
PARTS = ("generator", "ema", "discriminator", "optim")
KEPT = 2


@dataclass(frozen=True)
class Checkpoint:
    """One folder `checkpoints/NNNNNN`, named after the training step it holds."""

    path: Path

    @property
    def step(self) -> int:
        """The number of training steps done when it was written."""
        return int(self.path.name)

    def state(self) -> dict[str, Any]:
        """The content of state.json: the trainer's counters, and `files` with the SHA-256 of every part."""
        return json.loads((self.path / "state.json").read_text())

    def weights_sha256(self) -> str:
        """SHA-256 of the file of averaged generator weights, in hex."""
        return self.state()["files"]["ema"]

    def damage(self) -> str | None:
        """Why this checkpoint cannot be used, or None if every file is there with the hash that was recorded."""
        try:
            state = self.state()
            recorded = state["files"]
        except (OSError, ValueError, KeyError, TypeError):
            return "state.json is missing or unreadable"
        if state.get("format") != CHECKPOINT_FORMAT:
            return f"state.json has format {state.get('format')!r}, this version reads {CHECKPOINT_FORMAT!r}"
        for part in PARTS:
            file = self.path / f"{part}.safetensors"
            if not file.is_file():
                return f"{file.name} is missing"
            if files.sha256_file(file) != recorded.get(part):
                return f"{file.name} is not the file that was written"
        return None

    def tensors(self, part: str) -> dict[str, torch.Tensor]:
        """The tensors of one part (`generator`, `ema`, `discriminator` or `optim`), on the CPU."""
        return load_file(self.path / f"{part}.safetensors")


def list_checkpoints(folder: Path) -> list[Checkpoint]:
    """Every checkpoint in a `checkpoints` folder, newest first, whole or not."""
    if not folder.is_dir():
        return []
    found = [Checkpoint(p) for p in folder.iterdir() if p.is_dir() and p.name.isdecimal()]
    return sorted(found, key=lambda c: c.step, reverse=True)


def write_checkpoint(
    folder: Path,
    step: int,
    tensors: Mapping[str, Mapping[str, torch.Tensor]],
    state: Mapping[str, Any],
    best: bool = False,
) -> Checkpoint:
    """Write `folder/NNNNNN` whole or not at all, move `latest` (and `best`) to it, then drop what is not needed.

    The two newest checkpoints and the best one stay. Whenever the process or the machine stops, `latest` names
    a whole checkpoint if there ever was one.

    Args:
        folder: the run's `checkpoints` folder.
        step: the number of training steps done; names the checkpoint.
        tensors: one mapping of tensors for each of `generator`, `ema`, `discriminator`, `optim`.
        state: JSON values of the trainer.
        best: also make it the one that generation uses.

    Raises:
        OSError: the disk refused; what stood there before is untouched.
    """
    if set(tensors) != set(PARTS):
        raise ValueError(f"write_checkpoint: tensors must have the parts {PARTS}, got {tuple(tensors)}")
    name = f"{step:06d}"
    temporary = folder / f".{name}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        hashes = {}
        for part, values in tensors.items():
            file = temporary / f"{part}.safetensors"
            files.write_bytes(file, save({k: v.detach().cpu().contiguous() for k, v in values.items()}))
            hashes[part] = files.sha256_file(file)
        head = {"format": CHECKPOINT_FORMAT, "step": step, "files": hashes}
        files.write_json(temporary / "state.json", {**head, **state})
        shutil.rmtree(folder / name, ignore_errors=True)
        os.replace(temporary, folder / name)
        files.fsync_directory(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    if best:
        files.write_bytes(folder / "best", name.encode())
    files.write_bytes(folder / "latest", name.encode())
    _prune(folder)
    return Checkpoint(folder / name)


def _prune(folder: Path) -> None:
    best = read_pointer(folder, "best")
    for old in list_checkpoints(folder)[KEPT:]:
        if best is None or old.path != best.path:
            shutil.rmtree(old.path)
    for unfinished in folder.glob(".*.tmp"):  # left by a process that was killed while writing
        shutil.rmtree(unfinished, ignore_errors=True)


def read_pointer(folder: Path, name: str) -> Checkpoint | None:
    """The checkpoint that the file `latest` or `best` names, if that folder is there."""
    try:
        target = folder / (folder / name).read_text().strip()
    except OSError:
        return None
    return Checkpoint(target) if target.name.isdecimal() and target.is_dir() else None


def choose_whole(folder: Path, prefer: str = "latest") -> tuple[Checkpoint, str | None]:
    """The checkpoint to use and a warning: the preferred one, else the newest whole one.

    Raises:
        RunError: there is none, or none is whole.
    """
    candidates = list_checkpoints(folder)
    if not candidates:
        raise RunError(f"{folder.parent} has no checkpoint yet: let `fastgan train` run until it has written one")
    preferred = read_pointer(folder, prefer) or candidates[0]
    problems = []
    for candidate in [preferred, *(c for c in candidates if c.path != preferred.path)]:
        problem = candidate.damage()
        if problem is None:
            warning = f"{problems[0]}; using {candidate.path.name} instead" if problems else None
            return candidate, warning
        problems.append(f"checkpoint {candidate.path} is damaged ({problem})")
    raise RunError(f"no whole checkpoint is left: {'; '.join(problems)}; train again into a new folder")
