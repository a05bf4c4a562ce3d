"""The real images of a run come back as training saw them; a test image on another side stops everything."""

import json

import numpy as np
import pytest

from fastgan.data import load
from fastgan.errors import DataError, RunError
from fastgan.run import Run
from fastgan.tasks.real import check_no_leak, load_real


def edit(run: Run, **data) -> Run:
    config = json.loads((run.path / "config.json").read_text())
    config["data"] |= data
    (run.path / "config.json").write_text(json.dumps(config))
    return Run.open(run.path)


def test_training_images_are_the_recorded_subset(run):
    real = load_real(run)
    assert len(real.training) == 300
    assert np.array_equal(np.bincount(real.training.labels), [30] * 10)
    assert sorted(f"{h:016x}" for h in real.training.hashes) == sorted(run.config["data"]["subset"]["hashes"])
    everything = load("digits")
    assert len(real.test) == len(everything.split("test"))
    assert len(real.validation) == len(everything.split("val"))


def test_other_images_than_the_runs_are_refused(run):
    with pytest.raises(RunError, match=r"digits .* what .* was trained on"):
        load_real(edit(run, sha256="0" * 64))


def test_a_run_of_arrays_is_refused(run):
    with pytest.raises(RunError, match="trained on arrays.* name the file with --data"):
        load_real(edit(run, source=None))


def test_data_that_moved_are_found_where_data_says(run, moved):
    gone = edit(run, source="/nowhere/at/all")
    with pytest.raises(DataError, match="/nowhere/at/all does not exist.* moved.* --data SOURCE"):
        load_real(gone)
    with pytest.raises(DataError, match=r"elsewhere does not exist"):
        load_real(gone, "/elsewhere")
    here, there = load_real(run), load_real(gone, moved)
    for side in ("training", "validation", "test"):
        a, b = getattr(here, side), getattr(there, side)
        assert np.array_equal(a.images, b.images) and np.array_equal(a.labels, b.labels), side


def test_swapped_labels_are_refused(run, tmp_path):
    digits = load("digits")
    labels = digits.labels.copy()
    first, second = np.flatnonzero(labels == 3)[0], np.flatnonzero(labels == 8)[0]
    labels[[first, second]] = labels[[second, first]]
    np.savez(tmp_path / "swapped.npz", images=digits.images, labels=labels)
    with pytest.raises(RunError, match="a label"):
        load_real(run, tmp_path / "swapped.npz")


def test_moved_splits_are_refused(run, tmp_path):
    digits = load("digits")
    sides = {"train": digits.split("test"), "test": digits.split("train"), "val": digits.split("val")}
    arrays = {f"{kind}_{name}": getattr(side, kind) for name, side in sides.items() for kind in ("images", "labels")}
    np.savez(tmp_path / "splits.npz", **{f"{k.split('_')[1]}_{k.split('_')[0]}": v for k, v in arrays.items()})
    with pytest.raises(RunError, match="a split"):
        load_real(run, tmp_path / "splits.npz")


@pytest.mark.parametrize("side", ["training", "validation", "synthetic"])
def test_a_planted_test_image_is_found_by_content(run, side):
    real = load_real(run)
    others = {"training": real.training.images, "validation": real.validation.images}
    others["synthetic"] = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 1), dtype=np.uint8)
    check_no_leak(real.test.images, **others)
    others[side] = others[side].copy()
    others[side][7] = real.test.images[3]
    with pytest.raises(RunError, match=rf"1 of the \d+ {side} images are also test images"):
        check_no_leak(real.test.images, **others)
