"""Small run folders, written by the real writer."""

import pytest
import torch

from fastgan.models import Discriminator, Generator
from fastgan.run import Run, create_run, write_checkpoint

CLASSES = ("bag", "T-shirt/top", "con", "BAG")


def make_run(path, classes=CLASSES, size=(8, 8), channels=3, width=8, init_seed=1) -> Run:
    """A run whose generator has weights from a seed."""
    model = {
        "generator": {"size": list(size), "channels": channels, "z_dim": 16, "width": width}
        | {"num_classes": len(classes), "preset": "keras"},
        "discriminator": {"size": list(size), "channels": channels, "width": width}
        | {"num_classes": len(classes), "preset": "keras"},
    }
    data = {"name": "test", "classes": list(classes)}
    run = create_run(path, {"data": data, "model": model, "train": {}})
    write_weights(run, step=1, init_seed=init_seed)
    return run


def write_weights(run: Run, step: int, init_seed: int) -> None:
    """A checkpoint of `run` with weights that are a function of `init_seed`."""
    generator = Generator(**run.config["model"]["generator"]).init_weights(init_seed)
    discriminator = Discriminator(**run.config["model"]["discriminator"]).init_weights(init_seed)
    with torch.no_grad():
        generator.main.to_image.weight.mul_(200)  # fresh weights give greys; these give every value
    parts = {
        "generator": generator.state_dict(),
        "ema": generator.state_dict(),
        "discriminator": discriminator.state_dict(),
        "optim": {"step": torch.zeros(1)},
    }
    write_checkpoint(run.checkpoint_folder, step, parts, {"images": 64 * step})


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def new_run():
    """The function that writes a run folder."""
    return make_run


@pytest.fixture
def new_weights():
    """The function that writes a further checkpoint."""
    return write_weights


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Run:
    """Four classes, RGB, 8x8."""
    return make_run(tmp_path_factory.mktemp("runs") / "labelled")


@pytest.fixture(scope="session")
def unlabelled_run(tmp_path_factory) -> Run:
    """No classes, grey, 8x8."""
    return make_run(tmp_path_factory.mktemp("runs") / "plain", classes=(), channels=1)
