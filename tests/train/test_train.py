"""A real small training, whole and in pieces: the same weights, a whole folder, and reasons to stop."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from fastgan.data import load
from fastgan.errors import DataError, RunError
from fastgan.run import Run
from fastgan.train import TrainOptions, resume, train

SMALL = TrainOptions(images=512, snapshot_images=128, batch=32, width=8, z_dim=8, device="cpu", kid_images=60)
DIGITS = TrainOptions(**{**SMALL.to_json(), "real_per_class": 40})  # the network of KID is trained on fewer, sooner


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished training."""
    return train("digits", tmp_path_factory.mktemp("whole") / "run", options=DIGITS)


def final_weights(run: Run) -> dict[str, torch.Tensor]:
    checkpoint = run.checkpoint("latest")
    return {f"{part}/{k}": v for part in checkpoint.state()["files"] for k, v in checkpoint.tensors(part).items()}


def test_the_folder_holds_what_was_promised(whole):
    run = Run.open(whole.run.path)
    assert whole.reason == "the budget is used up"
    assert run.checkpoint("latest").step == 16
    assert len(list((run.path / "samples").glob("*.png"))) == 4
    assert run.classes == tuple("0123456789")
    assert run.config["data"]["source"] == "digits"
    assert any((run.path / "tensorboard").iterdir())
    rows = run.metrics()
    kids = [row for row in rows if "kid" in row]
    assert [row["images"] for row in kids] == [128, 256, 384, 512]
    for row in kids:
        assert row["kid"] > 0
        assert row["features"]["sha256"]
        assert abs(row["kid_floor"]) < row["kid"]
    steps = [row for row in rows if "step" in row]
    assert steps[-1]["images"] == 512
    assert steps[-1]["img_per_s"] > 0


def test_the_generator_makes_images(whole):
    generator = whole.run.load_generator()
    labels = torch.arange(10)
    images = generator(torch.randn(10, 8), labels)
    assert images.shape == (10, 1, 8, 8)
    assert images.abs().max() <= 1
    again = generator(torch.randn(10, 8), labels)
    assert not torch.equal(images, again)


def test_same_options_same_bits(whole, tmp_path):
    again = train("digits", tmp_path / "again", options=DIGITS)
    first, second = final_weights(whole.run), final_weights(again.run)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
    other = train("digits", tmp_path / "other", options=TrainOptions(**{**DIGITS.to_json(), "seed": 1}))
    assert not torch.equal(
        final_weights(other.run)["ema/" + next(iter(other.run.load_generator().state_dict()))],
        first["ema/" + next(iter(other.run.load_generator().state_dict()))],
    )


def test_stopped_and_resumed_equals_whole(whole, tmp_path):
    path = tmp_path / "run"
    part = train("digits", path, options=TrainOptions(**{**DIGITS.to_json(), "minutes": 1e-6}))
    assert part.reason == "the time limit is reached"
    assert part.images < 512
    end = resume(path, changes={"minutes": 10.0})
    assert end.images == 512
    for name, value in final_weights(end.run).items():
        assert torch.equal(value, final_weights(whole.run)[name]), name
    measured = [row["images"] for row in end.run.metrics() if "kid" in row]
    assert measured == [part.images, 128, 256, 384, 512], "the last checkpoint before the limit has its KID too"


def test_a_finished_run_has_nothing_to_resume_until_the_budget_grows(whole, tmp_path):
    path = tmp_path / "run"
    train("digits", path, options=DIGITS)
    assert resume(path).images == 512
    assert resume(path, changes={"images": 576}).images == 576
    with pytest.raises(RunError, match="width of .* cannot change"):
        resume(path, changes={"width": 9})


def test_other_images_are_refused_on_resume(tmp_path):
    path = tmp_path / "run"
    data = load("digits")
    small = TrainOptions(**{**SMALL.to_json(), "images": 64, "snapshot_images": 64})
    train((data.images[:300], data.labels[:300]), path, options=small)
    with pytest.raises(RunError, match="give them again"):
        resume(path)
    with pytest.raises(RunError, match="does not hold what"):
        resume(path, source=(data.images[:299], data.labels[:299]), changes={"images": 96})
    assert resume(path, source=(data.images[:300], data.labels[:300]), changes={"images": 96}).images == 96


def test_a_loss_that_is_not_finite_stops_with_the_last_good_checkpoint(tmp_path):
    path = tmp_path / "run"
    train("digits", path, options=TrainOptions(**{**DIGITS.to_json(), "images": 128}))
    config = json.loads((path / "config.json").read_text())
    config["train"] |= {"lr_generator": 1e30, "lr_discriminator": 1e30, "images": 512}
    (path / "config.json").write_text(json.dumps(config))
    with pytest.raises(RunError, match="the last good checkpoint is .*000004") as caught:
        resume(path)
    assert "\n" not in str(caught.value)
    assert Run.open(path).checkpoint("latest").step == 4


def test_patience_stops_on_kid(tmp_path):
    options = TrainOptions(**{**DIGITS.to_json(), "images": 100_000, "patience": 1, "lr_generator": 1e-12})
    outcome = train("digits", tmp_path / "run", options=options)
    assert outcome.reason == "KID has not improved"
    assert outcome.images < 100_000
    best = Run.open(outcome.run.path).checkpoint()
    kids = {row["images"]: row["kid"] for row in outcome.run.metrics() if "kid" in row}
    assert kids[best.step * 32] == min(kids.values())


def test_real_per_class_trains_on_a_recorded_subset(tmp_path):
    options = TrainOptions(**{**SMALL.to_json(), "images": 64, "real_per_class": 3})
    run = train("digits", tmp_path / "run", options=options).run
    subset = run.config["data"]["subset"]
    assert subset["images"] == len(set(subset["hashes"])) == 30


def test_without_labels(tmp_path):
    images = load("digits").images
    options = TrainOptions(**{**SMALL.to_json(), "images": 64, "kid_images": 20})
    run = train(images, tmp_path / "run", options=options).run
    assert run.num_classes == 0
    assert run.load_generator()(torch.randn(2, 8)).shape == (2, 1, 8, 8)
    kid = next(row for row in run.metrics() if "kid" in row)
    assert kid["features"]["name"].startswith("efficientnet-lite0")


@pytest.mark.parametrize("loss", ["hinge", "least_squares", "wasserstein", "rpgan"])
@pytest.mark.parametrize("preset", ["keras", "dcgan"])
def test_every_loss_and_preset_trains(tmp_path, loss, preset):
    images = load("digits").images[:, :, :, :]
    options = TrainOptions(
        **{
            **SMALL.to_json(),
            "images": 64,
            "snapshot_images": 64,
            "loss": loss,
            "preset": preset,
            "kid_images": 20,
        }
    )
    outcome = train(images[:200], tmp_path / "run", options=options, size=(32, 32))
    assert outcome.images == 64


def test_bf16_trains(tmp_path):
    options = TrainOptions(**{**DIGITS.to_json(), "images": 64, "precision": "bf16"})
    assert train("digits", tmp_path / "run", options=options).images == 64


def folder_of_classes(path, names=("bright", "dark"), count=30):
    """Two class folders of noise, one brighter than the other."""
    for label, name in enumerate(names):
        (path / name).mkdir(parents=True)
        for i in range(count):
            pixels = np.random.default_rng([label, i]).integers(0, 256 // (label + 1), (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(path / name / f"{i:03d}.png")
    return path


TINY = TrainOptions(**{**SMALL.to_json(), "images": 64, "snapshot_images": 64})
TINY_DIGITS = TrainOptions(**{**DIGITS.to_json(), "images": 64, "snapshot_images": 64})


def test_swapped_labels_are_refused_on_resume(tmp_path):
    images = folder_of_classes(tmp_path / "images")
    train(images, tmp_path / "run", options=TINY)
    (images / "bright").rename(images / "other")
    (images / "dark").rename(images / "bright")
    (images / "other").rename(images / "dark")
    with pytest.raises(RunError, match="a label, a class name or a split differs"):
        resume(tmp_path / "run", changes={"images": 128})


def test_file_names_change_nothing(tmp_path):
    images = folder_of_classes(tmp_path / "images")
    longer = TrainOptions(**{**TINY.to_json(), "images": 128})
    whole = train(images, tmp_path / "whole", options=longer).run
    train(images, tmp_path / "run", options=TINY)
    for path in sorted((images / "bright").iterdir()):
        path.rename(path.with_name(f"{999 - int(path.stem)}.png"))
    renamed = resume(tmp_path / "run", changes={"images": 128}).run
    for name, value in final_weights(whole).items():
        assert torch.equal(value, final_weights(renamed)[name]), name


def test_two_trainings_of_one_run_are_refused(tmp_path):
    run = train("digits", tmp_path / "run", options=TINY_DIGITS).run
    with run.training(), pytest.raises(RunError, match="another process is training"):
        resume(run.path, changes={"images": 128})
    assert resume(run.path, changes={"images": 128}).images == 128


def test_a_class_without_training_images_is_named(tmp_path):
    folder_of_classes(tmp_path / "images" / "train")
    folder_of_classes(tmp_path / "images" / "test", ("faint", "odd"), count=5)
    (tmp_path / "images" / "test" / "faint").rename(tmp_path / "images" / "test" / "dark")
    with pytest.raises(DataError, match="'odd' .* has no training image"):
        train(tmp_path / "images", tmp_path / "run", options=TINY)


def test_a_start_that_fails_leaves_no_folder(tmp_path):
    with pytest.raises(ValueError, match="cuda"):
        train("digits", tmp_path / "run", options=TrainOptions(**{**TINY.to_json(), "device": "cuda"}))
    assert not (tmp_path / "run").exists()
