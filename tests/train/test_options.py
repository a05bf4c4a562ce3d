"""Options: checked when they are made, kept as JSON, budgets in whole steps."""

import pytest

from fastgan.train import TrainOptions
from fastgan.train.plan import choose_folder, fill_in


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("loss", "bce"),
        ("precision", "fp8"),
        ("preset", "biggan"),
        ("batch", 1),
        ("width", 0),
        ("images", 0),
        ("minutes", -1),
        ("lr_generator", 0.0),
        ("lr_discriminator", float("nan")),
        ("ema", 1.0),
        ("seed", -1),
        ("seed", 2**64),
    ],
)
def test_what_cannot_be_is_one_sentence_with_the_name(name, value):
    with pytest.raises(ValueError, match=name) as caught:
        TrainOptions(**{name: value})
    assert "\n" not in str(caught.value)


def test_json_round_trip_and_unknown_keys():
    options = TrainOptions(images=1000, loss="hinge", real_per_class=5)
    assert TrainOptions.from_json(options.to_json()) == options
    with pytest.raises(ValueError, match="colour"):
        TrainOptions.from_json({**options.to_json(), "colour": 1})


@pytest.mark.parametrize(("training", "budget"), [(100, 200_000), (50_000, 1_000_000), (10**6, 2_000_000)])
def test_the_budget_follows_the_data(training, budget):
    filled = fill_in(TrainOptions(batch=64), training)
    assert budget <= filled.images < budget + 64
    assert filled.images % 64 == filled.snapshot_images % 64 == 0
    assert filled.images / 21 < filled.snapshot_images <= filled.images / 19
    assert fill_in(filled, 7) == filled
    assert filled.lr_generator == 8e-4
    assert fill_in(TrainOptions(preset="dcgan"), training).lr_discriminator == 2e-4


def test_the_first_free_folder(tmp_path):
    class Named:
        name = "my set/v1"

    assert choose_folder(Named, tmp_path).name == "my-set-v1"
    (tmp_path / "my-set-v1").mkdir()
    assert choose_folder(Named, tmp_path).name == "my-set-v1-2"
