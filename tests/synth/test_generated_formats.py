"""Each format read back by what its users read it with, and equal to SyntheticDataset."""

import json
from urllib.parse import unquote

import numpy as np
import pytest
import torch
import webdataset
from PIL import Image

from fastgan import backends
from fastgan.data import load
from fastgan.synth import SyntheticDataset, generate, verify

N = 200  # two shards of 128: one full, one short
OPTIONS = {"seed": 5, "shard_size": 128, "device": "cpu"}


def expected(run, classes="balanced") -> tuple[np.ndarray, list[int]]:
    """uint8 [N, H, W, C] and labels from the Python data set."""
    dataset = SyntheticDataset(run, N, seed=5, classes=classes)
    pairs = [dataset[i] for i in range(N)]
    return np.stack([image.permute(1, 2, 0).numpy() for image, _ in pairs]), [label for _, label in pairs]


def walk(root) -> list[tuple[str, str, np.ndarray]]:
    """What a class-folder loader finds: (folder, file name, uint8 [H, W, C]), sorted by file name."""
    found = []
    for folder in (entry for entry in root.iterdir() if entry.is_dir()):
        for file in folder.iterdir():
            with Image.open(file) as image:
                pixels = np.asarray(image)
            found.append((folder.name, file.name, pixels.reshape(*pixels.shape[:2], -1)))
    return sorted(found, key=lambda row: row[1])


@pytest.mark.parametrize("classes", ["balanced", "bag,con"])
def test_imagefolder(run, tmp_path, classes):
    manifest = generate(run, N, tmp_path / "set", format="imagefolder", classes=classes, **OPTIONS)
    images, labels = expected(run, classes)
    found = walk(manifest.parent)
    assert np.array_equal(np.stack([pixels for _, _, pixels in found]), images)
    assert [unquote(folder) for folder, _, _ in found] == [run.classes[label] for label in labels]
    assert {p.name for p in manifest.parent.iterdir() if p.is_file()} == {"manifest.json"}


def test_imagefolder_read_by_our_own_loader(run, tmp_path):
    manifest = generate(run, N, tmp_path / "set", **OPTIONS)
    loaded = load(manifest.parent, size=(8, 8))
    images, labels = expected(run)
    assert loaded.classes == tuple(sorted(json.loads(manifest.read_text())["class_folders"]))

    def rows(images, names):
        return sorted((name, image.tobytes()) for image, name in zip(images, names, strict=True))

    theirs = [unquote(loaded.classes[label]) for label in loaded.labels]
    assert rows(loaded.images, theirs) == rows(images, [run.classes[label] for label in labels])


def test_imagefolder_without_labels(unlabelled_run, tmp_path):
    manifest = generate(unlabelled_run, N, tmp_path / "set", **OPTIONS)
    found = walk(manifest.parent)
    assert {folder for folder, _, _ in found} == {"images"}
    assert np.array_equal(np.stack([pixels for _, _, pixels in found]), expected(unlabelled_run)[0])


@pytest.mark.parametrize("channels", [2, 4], ids=["grey and alpha", "RGBA"])
def test_alpha_survives_where_it_is_zero(new_run, tmp_path, channels):
    run = new_run(tmp_path / "run", channels=channels)
    manifest = generate(run, N, tmp_path / "set", **OPTIONS)
    images = np.stack([pixels for _, _, pixels in walk(manifest.parent)])
    assert np.array_equal(images, expected(run)[0])
    assert (images[..., -1] < 64).any()
    assert verify(manifest.parent).ok


def test_webdataset(run, tmp_path):
    manifest = generate(run, N, tmp_path / "set", format="webdataset", **OPTIONS)
    shards = sorted(str(p) for p in manifest.parent.glob("*.tar"))
    assert len(shards) == 2
    samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode("rgb8").to_tuple("png", "cls"))
    images, labels = expected(run)
    assert np.array_equal(np.stack([image for image, _ in samples]), images)
    assert [label for _, label in samples] == labels


def test_webdataset_without_labels(unlabelled_run, tmp_path):
    manifest = generate(unlabelled_run, N, tmp_path / "set", format="webdataset", **OPTIONS)
    shards = sorted(str(p) for p in manifest.parent.glob("*.tar"))
    samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode("l8"))
    assert [sample["__key__"] for sample in samples] == [f"{i:09d}" for i in range(N)]
    assert "cls" not in samples[0]
    assert np.array_equal(np.stack([sample["png"] for sample in samples])[..., None], expected(unlabelled_run)[0])


def test_npy(run, tmp_path):
    manifest = generate(run, N, tmp_path / "set", format="npy", **OPTIONS)
    shards = [np.load(p, mmap_mode="r") for p in sorted(manifest.parent.glob("images-*.npy"))]
    images, labels = expected(run)
    assert [len(shard) for shard in shards] == [128, 72]
    assert np.array_equal(np.concatenate(shards), images)
    stored = np.load(manifest.parent / "labels.npy", mmap_mode="r")
    assert stored.dtype == np.int64 and stored.tolist() == labels


def test_npy_without_labels(unlabelled_run, tmp_path):
    manifest = generate(unlabelled_run, N, tmp_path / "set", format="npy", **OPTIONS)
    assert not (manifest.parent / "labels.npy").exists()
    assert verify(manifest.parent).ok


def test_pixel_hashes_are_the_same_in_every_format_and_level(run, tmp_path):
    kinds = {"imagefolder": 0, "webdataset": 9, "npy": 1}
    paths = [generate(run, N, tmp_path / f, format=f, png_level=k, **OPTIONS) for f, k in kinds.items()]
    rows = [json.loads(path.read_text())["shards"] for path in paths]
    hashes = [[row["pixel_sha256"] for row in shards] for shards in rows]
    assert hashes[0] == hashes[1] == hashes[2]
    assert rows[0][0]["file_sha256"] != rows[1][0]["file_sha256"]


def test_manifest_says_what_made_the_set(run, tmp_path):
    manifest = json.loads(generate(run, N, tmp_path / "set", classes="con", **OPTIONS).read_text())
    wanted = {
        "format": "generated/1",
        "run": run.path.name,
        "weights_sha256": run.weights_sha256(),
        "noise": "noise/1",
        "seed": 5,
        "n": N,
        "device": "cpu",
        "classes": ["bag", "T-shirt/top", "con", "BAG"],
        "class_folders": ["bag", "T-shirt%2Ftop", "%63on", "%42AG"],
        "label_cycle": [2],
        "image": {"size": [8, 8], "channels": 3},
        "file_format": "imagefolder",
    }
    assert {k: manifest[k] for k in wanted} == wanted
    assert [(row["first"], row["count"]) for row in manifest["shards"]] == [(0, 128), (128, 72)]
    assert set(manifest["versions"]) == {"fastgan", "torch", "numpy", "pillow", "zlib"}


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_manifest_names_the_backend_and_capability_that_ran(run, tmp_path, need, backend):
    need(backends.why_not("frozen_generator", backend, "cpu", torch.float32), backend)
    with backends.use_backend(backend), backends.record() as runs:
        manifest = json.loads(generate(run, N, tmp_path / "set", **OPTIONS).read_text())
    ran = {each for each in runs if each.op == "frozen_generator"}
    capability = manifest["capability"] if backend == "cpu" else ""
    assert ran == {("frozen_generator", backend, capability)}
    assert manifest["backend"] == backend and manifest["capability"]
