"""Synthetic images: as a torch dataset, or written to disk as a set that can be checked."""

from fastgan.synth.checking import Report, verify
from fastgan.synth.dataset import SyntheticDataset
from fastgan.synth.generation import Outcome, generate, produce

__all__ = ["Outcome", "Report", "SyntheticDataset", "generate", "produce", "verify"]
