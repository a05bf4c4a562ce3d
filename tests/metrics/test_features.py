"""Feature extractors: kept and read back with the same hash and numbers, refused when damaged."""

import builtins
import hashlib

import numpy as np
import pytest
from sklearn.datasets import load_digits

from fastgan.errors import RunError
from fastgan.metrics import classifier_features, efficientnet_lite0_features, kid, load_features
from fastgan.metrics.features import FEATURES_FILE


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))  # the set is sorted by writers
    return (data.images * 15.9).astype(np.uint8)[order][..., None], data.target.astype(np.int64)[order]


@pytest.fixture(scope="module")
def kept(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    images, labels = digits
    return folder, classifier_features(images[:1000], labels[:1000], num_classes=10, folder=folder, steps=60)


def test_the_kept_file_gives_the_same_hash_and_numbers(digits, kept):
    folder, extractor = kept
    images, labels = digits
    features = extractor(images[:300])
    assert features.dtype == np.float32 and features.shape == (300, extractor.dim)
    assert extractor.sha256 == hashlib.sha256((folder / FEATURES_FILE).read_bytes()).hexdigest()
    for again in (
        load_features(folder),
        classifier_features(images[:9], labels[:9], num_classes=10, folder=folder),
    ):
        assert (again.name, again.sha256, again.dim) == (extractor.name, extractor.sha256, extractor.dim)
        assert np.array_equal(again(images[:300]), features)


def test_features_of_the_training_images_have_unit_mean_square(digits, kept):
    _, extractor = kept
    assert np.mean(extractor(digits[0][:1000]) ** 2) == pytest.approx(1.0, rel=1e-3)


def test_label_agreement_is_the_accuracy_of_the_network(digits, kept):
    _, extractor = kept
    images, labels = (part[1000:1400] for part in digits)
    features = extractor(images)
    right = extractor.label_agreement(features, labels)
    assert right > 0.8
    assert extractor.label_agreement(features, (labels + 1) % 10) < 0.2


def test_kid_tells_collapse_and_noise_from_real_images(digits, kept):
    _, extractor = kept
    images = digits[0]
    real, other = extractor(images[1000:1390]), extractor(images[1390:1780])
    floor = kid(real, other)
    noise = np.random.default_rng(0).integers(-99, 100, (390, 8, 8, 1))
    noisy = np.clip(images[1390:1780].astype(int) + noise, 0, 255).astype(np.uint8)
    collapsed = images[1390 + np.arange(390) % 10]
    for bad in (noisy, collapsed):
        assert kid(real, extractor(bad)).mean > floor.mean + 5 * floor.std


def test_a_damaged_or_missing_file_is_named(kept, tmp_path):
    data = (kept[0] / FEATURES_FILE).read_bytes()
    (tmp_path / FEATURES_FILE).write_bytes(data[: len(data) // 2])
    with pytest.raises(RunError, match=r"features\.safetensors: the feature network cannot be read"):
        load_features(tmp_path)
    with pytest.raises(RunError, match="cannot be read"):
        load_features(tmp_path / "nowhere")


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_efficientnet_reads_every_kind_of_image(channels, need):
    try:
        extractor = efficientnet_lite0_features(size=64)
    except RunError as error:
        need(str(error), "efficientnet")
    images = np.random.default_rng(1).integers(0, 256, (3, 16, 12, channels), dtype=np.uint8)
    features = extractor(images)
    assert features.shape == (3, 1280) and np.isfinite(features).all()
    assert extractor.name == "efficientnet-lite0@64" and len(extractor.sha256) == 64
    if channels == 4:  # where an image is transparent its colour must not matter
        images[..., 3] = 0
        assert np.allclose(extractor(images)[0], extractor(images)[1], atol=1e-5)


def test_without_the_package_the_way_out_is_named(monkeypatch):
    real_import = builtins.__import__

    def missing(name, *args, **kwargs):
        if name.startswith("efficientnet"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(RunError, match=r"pip install 'fastgan\[metrics\]'"):
        efficientnet_lite0_features()
