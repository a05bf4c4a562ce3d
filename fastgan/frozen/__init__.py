"""Frozen generators: a model's evaluation behaviour folded into a plan, run as one operator, written as one file."""

from importlib import import_module
from typing import Any

from fastgan.frozen.freezing import freeze
from fastgan.frozen.generator import FrozenGenerator

__all__ = ["FORMATS", "FrozenGenerator", "export", "freeze", "load", "save"]

# What needs more packages than torch and numpy comes from its file when it is asked for.
_LATER = {"FORMATS": "exporting", "export": "exporting", "load": "storage", "save": "storage"}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
