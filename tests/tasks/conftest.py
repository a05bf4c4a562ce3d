"""A real run, trained for a moment on a few digits; every test gets a copy of its own."""

import shutil

import numpy as np
import pytest
import torch

from fastgan.data import load
from fastgan.run import Run
from fastgan.train import TrainOptions, train


@pytest.fixture(scope="session")
def _trained(tmp_path_factory):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("trained") / "run"
    options = TrainOptions(images=512, snapshot_images=256, batch=32, width=8, z_dim=8, device="cpu", real_per_class=30)
    train("digits", path, options=options)
    torch.set_num_threads(before)
    return path


@pytest.fixture
def run(_trained, tmp_path) -> Run:
    return Run.open(shutil.copytree(_trained, tmp_path / "run"))


@pytest.fixture
def moved(tmp_path):
    """The run's data at another place, in another format and order."""
    digits = load("digits")
    path = tmp_path / "moved.npz"
    np.savez(path, images=digits.images[::-1], labels=digits.labels[::-1])
    return path
