"""Run folders: opened with one sentence when they cannot be, created only where nothing stands."""

import json

import pytest

from fastgan.errors import RunError
from fastgan.run import Run, create_run

CONFIG = {
    "data": {"classes": ["a", "b"]},
    "model": {"generator": {"size": [8, 8], "channels": 1, "z_dim": 4, "width": 4, "num_classes": 2}},
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


def test_a_torn_last_line_of_the_log_does_not_count(tmp_path):
    run = create_run(tmp_path / "run", CONFIG)
    log = run.path / "metrics.jsonl"
    log.write_text('{"images": 1}\n{"images": 2}\n{"ima')
    assert run.metrics() == [{"images": 1}, {"images": 2}]
    log.write_text('{"images": 1\n{"images": 2}\n')
    with pytest.raises(RunError, match="metrics.jsonl is damaged"):
        run.metrics()
