"""fastgan: fast layers, benchmarks and labelled synthetic images for convolutional GANs."""

from __future__ import annotations

import importlib

from fastgan._version import __version__

__all__ = ["__version__", "freeze", "fuse_", "report", "unfuse_"]

# Looked up when they are first asked for: `import fastgan` alone loads no torch.
_LAZY = {
    "freeze": "fastgan.frozen",
    "fuse_": "fastgan.fusion",
    "report": "fastgan.fusion",
    "unfuse_": "fastgan.fusion",
}


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
