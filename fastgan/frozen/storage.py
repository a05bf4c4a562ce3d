"""Frozen generators as files: format frozen/1, one safetensors file whose metadata holds the plan as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open

from fastgan._version import __version__
from fastgan.errors import DataError
from fastgan.files import write_bytes
from fastgan.frozen.generator import FrozenGenerator
from fastgan.reference.frozen_generator import Activation, Affine, Convolution, Permutation, Plan, Step

__all__ = ["FROZEN_FORMAT", "load", "save", "to_bytes"]

FROZEN_FORMAT = "frozen/1"

_KEY = "fastgan"  # of the metadata
_KINDS = {"convolution": Convolution, "affine": Affine, "activation": Activation, "permutation": Permutation}
_PLACES = ("weight", "bias", "scale", "shift", "index")  # fields that are places of tensors, in the file their names
_OPTIONS = ("output", "batch_invariant", "precision")


def save(frozen: FrozenGenerator, path: str | Path) -> Path:
    """Write `frozen` to `path`, whole or not at all; a file that is there is replaced. Returns the path."""
    path = Path(path)
    write_bytes(path, to_bytes(frozen))
    return path


def to_bytes(frozen: FrozenGenerator) -> bytes:
    """The file of `frozen`: docs/formats.md describes it."""
    plan = frozen.plan
    head = {
        "format": FROZEN_FORMAT,
        "fastgan": __version__,
        "input_shape": plan.input_shape,
        "image": plan.image,
        "num_classes": plan.num_classes,
        **{name: getattr(frozen, name) for name in _OPTIONS},
        "steps": [_step_to_json(step, plan.names) for step in plan.steps],
    }
    tensors = dict(zip(plan.names, (tensor.cpu() for tensor in frozen.tensors()), strict=True))
    return safetensors.torch.save(tensors, {_KEY: json.dumps(head)})


def load(path: str | Path, device: str | torch.device = "cpu") -> FrozenGenerator:
    """The frozen generator in the file `path`: same device, backend and capability, same bytes.

    Raises DataError in one sentence where the file is missing, damaged, or of another format.
    """
    path = Path(path)
    try:
        with safe_open(path, framework="pt") as file:
            head = json.loads((file.metadata() or {}).get(_KEY, "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except FileNotFoundError:
        raise DataError(f"frozen generator {path} does not exist; `fastgan export` writes one") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a frozen generator ({error}); export it again") from None
    found = head.get("format") if isinstance(head, dict) else None
    if found != FROZEN_FORMAT:
        raise DataError(f"{path} has format {found!r}, this version of fastgan reads {FROZEN_FORMAT!r}")
    try:
        names = tuple(step[name] for step in head["steps"] for name in _PLACES if step.get(name) is not None)
        steps = tuple(_step_from_json(step, names) for step in head["steps"])
        plan = Plan(tuple(head["input_shape"]), tuple(head["image"]), head["num_classes"], names, steps)
        frozen = FrozenGenerator(plan, [tensors[name] for name in names], **{name: head[name] for name in _OPTIONS})
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{path} holds no whole plan ({error}); export it again") from None
    return frozen.to(device)


def _step_to_json(step: Step, names: tuple[str, ...]) -> dict[str, Any]:
    kind = next(name for name, each in _KINDS.items() if isinstance(step, each))
    fields = step._asdict()
    if isinstance(step, Activation):
        fields = {"activation": fields.pop("kind"), **fields}
    for name in _PLACES:
        if name in fields:
            fields[name] = None if fields[name] < 0 else names[fields[name]]
    return {"kind": kind, **fields}


def _step_from_json(step: dict[str, Any], names: tuple[str, ...]) -> Step:
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in step.items()}
    kind = _KINDS[fields.pop("kind")]
    if kind is Activation:
        fields["kind"] = fields.pop("activation")
    for name in _PLACES:
        if name in fields:
            fields[name] = -1 if fields[name] is None else names.index(fields[name])
    return kind(**fields)
