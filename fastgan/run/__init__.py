"""Run folders: what a training leaves on disk, and how everything else reads it."""

from fastgan.run.checkpoint import Checkpoint, write_checkpoint
from fastgan.run.folder import RUN_FORMAT, Run, create_run
from fastgan.run.images import load_run_images, training_images

__all__ = [
    "RUN_FORMAT",
    "Checkpoint",
    "Run",
    "create_run",
    "load_run_images",
    "training_images",
    "write_checkpoint",
]
