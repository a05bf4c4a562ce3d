"""Run folders: opened with one sentence when they cannot be, created only where nothing stands."""

import json

import pytest
import torch

from fastgan.errors import RunError
from fastgan.models import Discriminator, Generator
from fastgan.run import Run, create_run, write_checkpoint

CONFIG = {
    "data": {"classes": ["a", "b"]},
    "model": {
        "generator": {"size": [8, 8], "channels": 1, "z_dim": 4, "width": 4, "num_classes": 2},
        "discriminator": {"size": [8, 8], "channels": 1, "width": 4, "num_classes": 2},
    },
    "train": {},
}


def test_created_and_opened(tmp_path):
    create_run(tmp_path / "run", CONFIG)
    run = Run.open(tmp_path / "run")
    assert run.classes == ("a", "b")
    assert run.num_classes == 2
    assert run.size == (8, 8)
    assert run.channels == 1
    assert run.config["format"] == "run/1"
    assert run.config["noise"] == "noise/1"
    assert run.config["versions"]["torch"]
    assert run.metrics() == []


def test_a_folder_that_holds_something_is_refused_and_left_alone(tmp_path):
    (tmp_path / "precious.txt").write_text("keep")
    with pytest.raises(RunError, match="is not empty: choose another --out"):
        create_run(tmp_path, CONFIG)
    assert [p.name for p in tmp_path.iterdir()] == ["precious.txt"]


def test_a_run_is_not_overwritten(tmp_path):
    create_run(tmp_path / "run", CONFIG)
    with pytest.raises(RunError, match="continue it with --resume"):
        create_run(tmp_path / "run", CONFIG)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "it has no config.json"),
        ("{", "cannot be read"),
        ("[]", "format None"),
        (json.dumps({"format": "run/1", "data": {}}), "no part 'model'"),
        (json.dumps({"format": "run/9"}), "format 'run/9'"),
    ],
)
def test_what_is_not_a_run_is_named(tmp_path, content, sentence):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(RunError, match=sentence):
        Run.open(tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(RunError, match="does not exist"):
        Run.open(tmp_path / "nowhere")


def test_a_run_without_checkpoint_says_so(tmp_path):
    run = create_run(tmp_path / "run", CONFIG)
    with pytest.raises(RunError, match="has no checkpoint yet"):
        run.load_generator()


def test_networks_come_back_without_a_draw_of_first_weights(tmp_path):
    made = {
        "generator": Generator(**CONFIG["model"]["generator"]),
        "discriminator": Discriminator(**CONFIG["model"]["discriminator"]),
    }
    parts = {name: network.state_dict() for name, network in made.items()}
    parts |= {"ema": made["generator"].state_dict(), "optim": {"step": torch.zeros(1)}}
    run = create_run(tmp_path / "run", CONFIG)
    write_checkpoint(run.checkpoint_folder, 1, parts, {"images": 64})
    before = torch.get_rng_state()
    loaded = {"generator": run.load_generator(), "discriminator": run.load_discriminator()}
    assert torch.equal(torch.get_rng_state(), before)
    for name, network in loaded.items():
        assert not network.training
        tensors = network.state_dict()
        assert tensors.keys() == parts[name].keys()
        for key, expected in parts[name].items():
            assert torch.equal(tensors[key], expected) and not tensors[key].requires_grad


def test_a_torn_last_line_of_the_log_does_not_count(tmp_path):
    run = create_run(tmp_path / "run", CONFIG)
    log = run.path / "metrics.jsonl"
    log.write_text('{"images": 1}\n{"images": 2}\n{"ima')
    assert run.metrics() == [{"images": 1}, {"images": 2}]
    log.write_text('{"images": 1\n{"images": 2}\n')
    with pytest.raises(RunError, match="metrics.jsonl is damaged"):
        run.metrics()
