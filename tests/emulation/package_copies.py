"""Copies of the package of kernels with something changed, under a name of their own."""

import importlib
import itertools
import sys
from pathlib import Path

from fastgan import kernels

from .chain_launches import Kernels

_FOLDER = Path(next(iter(kernels.__path__)))
_numbers = itertools.count()


def spoilt(folder: Path, file: str, old: str, new: str) -> Kernels:
    """The modules that launch, from a copy in which the one `old` of `file` is `new`.

    ValueError where `old` is not there exactly once: a mutant that no longer changes anything is none.
    """
    text = (_FOLDER / file).read_text()
    if text.count(old) != 1:
        raise ValueError(f"{file} must hold {old!r} once, has it {text.count(old)} times")
    name = f"spoilt_kernels_{next(_numbers)}"
    copy = folder / name
    copy.mkdir()
    for source in _FOLDER.glob("*.py"):
        content = text.replace(old, new) if source.name == file else source.read_text()
        (copy / source.name).write_text(content.replace("fastgan.kernels", name))
    sys.path.insert(0, str(folder))
    try:
        return Kernels(*(importlib.import_module(f"{name}.{each}") for each in Kernels._fields))
    finally:
        sys.path.remove(str(folder))
