"""The study end to end on a real run: fair arms, honest record, nothing repeated, killed studies go on."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from fastgan.errors import RunError
from fastgan.run import Run
from fastgan.synth import SyntheticDataset
from fastgan.tasks import classify
from fastgan.tasks.classify import TRAININGS_FILE, StudyOptions, study_classify
from fastgan.tasks.real import load_real
from fastgan.tasks.synthetic import synthetic_images
from fastgan.tasks.verdict import RESULT_FILE, read_study

OPTIONS = StudyOptions(seeds=2, steps=6, synthetic=100, batch=32, device="cpu")


def edit(run: Run, **data) -> Run:
    config = json.loads((run.path / "config.json").read_text())
    config["data"] |= data
    (run.path / "config.json").write_text(json.dumps(config))
    return Run.open(run.path)


def test_record_of_a_study(run):
    result = study_classify(run, OPTIONS, command="the command")
    assert result == read_study(run) == json.loads((run.path / RESULT_FILE).read_text())
    assert result["format"] == "study/1"
    assert list(result["arms"]) == ["real", "real+synthetic", "synthetic"]
    assert result["images"] == {
        "real": 300,
        "real_per_class": 30,
        "validation": len(load_real(run).validation),
        "test": len(load_real(run).test),
        "synthetic": 100,
    }
    for arm in result["arms"].values():
        assert len(arm["by_seed"]) == 2
        assert arm["accuracy"]["low"] <= np.mean(arm["by_seed"]) <= arm["accuracy"]["high"]
    difference = np.subtract(result["arms"]["real+synthetic"]["by_seed"], result["arms"]["real"]["by_seed"])
    assert result["minus_real"]["real+synthetic"]["by_seed"] == pytest.approx(list(difference))
    assert result["sentence"].startswith("For this run, whose GAN saw 300 real images, ")
    assert "saw the same 300 real images (30 of each class)" in result["conditions"]
    assert "validation images chose the checkpoint of the GAN by KID and the augmentation" in result["conditions"]
    assert len(result["augmentation"]["tried"]) == 4
    assert result["settings"]["steps"] == 6 and result["command"] == "the command"


def test_every_arm_gets_what_its_name_says(run, monkeypatch):
    calls = []

    def record(images, labels, **given):
        calls.append((images, labels, given))
        return real_train(images, labels, **given)

    real_train = classify.train_classifier
    monkeypatch.setattr(classify, "train_classifier", record)
    study_classify(run, StudyOptions(seeds=1, steps=3, synthetic=60, batch=8, share=0.25, device="cpu"))
    real, fake = load_real(run).training, synthetic_images(run, 60)
    assert len(calls) == 4 + 3
    assert {(c[2]["steps"], c[2]["batch"], c[2]["num_classes"]) for c in calls} == {(3, 8, 10)}
    arms = calls[4:]
    assert len({c[2]["augment"] for c in arms}) == 1 and {c[2]["seed"] for c in arms} == {0}
    for images, labels, _ in arms[:2]:
        assert np.array_equal(images, real.images) and np.array_equal(labels, real.labels)
    assert arms[0][2]["mix"] is None and arms[2][2]["mix"] is None
    assert arms[1][2]["mix"].share == 0.25
    for images, labels in ((arms[1][2]["mix"].images, arms[1][2]["mix"].labels), arms[2][:2]):
        assert np.array_equal(images, fake[0]) and np.array_equal(labels, fake[1])
    tests = {image.tobytes() for image in load_real(run).test.images}
    assert not any(image.tobytes() in tests for images, _, _ in calls for image in images)


def test_synthetic_images_are_those_of_the_dataset(run):
    images, labels = synthetic_images(run, 70, seed=9)
    dataset = SyntheticDataset(run, 70, seed=9)
    assert all(np.array_equal(images[i].transpose(2, 0, 1), dataset[i][0].numpy()) for i in (0, 1, 63, 64, 69))
    assert labels.tolist() == [dataset[i][1] for i in range(70)]


def test_one_seed_makes_no_claim(run):
    result = study_classify(run, StudyOptions(seeds=1, steps=2, synthetic=20, batch=8, device="cpu"))
    assert result["verdict"] == "no claim"
    assert result["arms"]["real"]["accuracy"]["low"] is None
    assert "no claim can be made" in result["sentence"]


def test_a_run_without_labels_is_refused(run):
    with pytest.raises(RunError, match="trained without labels"):
        study_classify(edit(run, classes=[]), OPTIONS)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"seeds": 0}, "seeds must be at least 1"),
        ({"steps": 0}, "steps must be"),
        ({"share": 1.0}, r"share must be in \(0, 1\)"),
        ({"share": 0.01, "batch": 8}, "share 0.01 of a batch of 8 is 0 synthetic images"),
        ({"share": 0.99, "batch": 8}, "share 0.99 of a batch of 8 is 8 synthetic images"),
        ({"device": "gpu"}, "device must be one of auto, cpu, cuda"),
        ({"precision": "fp8"}, "precision must be one of fp32, bf16, fp16"),
        ({"synthetic_seed": -1}, "synthetic_seed must be"),
    ],
)
def test_impossible_options_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        StudyOptions(**options)


def test_more_seeds_reuse_trainings_and_other_settings_do_not(run):
    study_classify(run, OPTIONS)
    first = json.loads((run.path / TRAININGS_FILE).read_text())["trainings"]
    study_classify(run, StudyOptions(**{**vars(OPTIONS), "seeds": 3}))
    more = json.loads((run.path / TRAININGS_FILE).read_text())["trainings"]
    assert len(more) == len(first) + 3 and all(more[name] == first[name] for name in first)
    study_classify(run, StudyOptions(**{**vars(OPTIONS), "seeds": 1, "steps": 7}))
    assert len(json.loads((run.path / TRAININGS_FILE).read_text())["trainings"]) == 4 + 3


def test_moved_data_give_the_same_study_and_reuse_its_trainings(run, moved):
    first = study_classify(run, OPTIONS)
    kept = (run.path / TRAININGS_FILE).read_text()
    again = study_classify(edit(run, source="/nowhere/at/all"), OPTIONS, data=moved)
    assert again["arms"] == first["arms"] and (run.path / TRAININGS_FILE).read_text() == kept


def test_the_recorded_command_holds_every_setting(tmp_path):
    options = StudyOptions(seeds=2, steps=7, synthetic=9, synthetic_seed=3, share=0.25, batch=8, device="cpu")
    assert options.command_line(tmp_path / "a run", "some data") == (
        f"fastgan study classify --run '{tmp_path}/a run' --data 'some data' --seeds 2 --steps 7 --synthetic 9 "
        "--synthetic-seed 3 --share 0.25 --batch 8 --device cpu"
    )


@pytest.mark.slow
def test_a_killed_study_goes_on_and_ends_the_same(run):
    words = ["--seeds", "2", "--steps", "40", "--synthetic", "100", "--device", "cpu", "--json"]
    command = [sys.executable, "-m", "fastgan", "study", "classify", "--run", str(run.path), *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    kept = run.path / TRAININGS_FILE

    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while (not kept.exists() or len(json.loads(kept.read_text())["trainings"]) < 6) and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = json.loads(kept.read_text())["trainings"]
    assert 6 <= len(before) < 10 and not (run.path / RESULT_FILE).exists()

    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    after = json.loads(kept.read_text())["trainings"]
    assert len(after) == 10 and all(after[name] == row for name, row in before.items())
    kept.unlink()
    undisturbed = study_classify(run, StudyOptions(seeds=2, steps=40, synthetic=100, device="cpu"))
    resumed = json.loads(done.stdout)
    for arm in undisturbed["arms"]:
        assert resumed["arms"][arm]["by_seed"] == undisturbed["arms"][arm]["by_seed"]
