"""Measuring a device: self-check and timing of every operator on the presets' layers, which make its table."""

from fastgan.tuning.run import tune
from fastgan.tuning.scope import Scope

__all__ = ["Scope", "tune"]
