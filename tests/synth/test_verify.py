"""verify: a whole set passes, and every way of damaging one is found and named."""

import io
import json
import shutil
import tarfile

import numpy as np
import pytest
from PIL import Image

from fastgan.errors import OutputError
from fastgan.synth import generate, verify

N = 200  # two shards of 128: one full, one short
FORMATS = ("imagefolder", "webdataset", "npy")
FIRST = {"imagefolder": "bag/000000000.png", "webdataset": "shard-000000.tar", "npy": "images-000000.npy"}


@pytest.fixture(scope="module")
def sets(run, tmp_path_factory) -> dict:
    """A whole set in each format."""
    root = tmp_path_factory.mktemp("sets")
    for format in FORMATS:
        generate(run, N, root / format, format=format, shard_size=128, device="cpu")
    return {format: root / format for format in FORMATS}


@pytest.fixture
def copy(sets, tmp_path):
    """The function that gives a copy of a set, to be damaged."""
    return lambda format="imagefolder": shutil.copytree(sets[format], tmp_path / "set")


@pytest.mark.parametrize("format", FORMATS)
def test_whole_set(sets, format):
    seen = []
    report = verify(sets[format], progress=lambda *row: seen.append(row))
    assert (report.kind, report.checked, report.problems) == ("generated set", N, [])
    assert seen == [(128, N, ""), (200, N, "")]


@pytest.mark.parametrize("format", FORMATS)
def test_missing_file(copy, format):
    folder = copy(format)
    (folder / FIRST[format]).unlink()
    report = verify(folder)
    assert report.problems == [f"{FIRST[format]} is missing"] and report.checked == 72


@pytest.mark.parametrize("format", FORMATS)
def test_half_a_file(copy, format):
    file = copy(format) / FIRST[format]
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    (problem,) = verify(file.parents[FIRST[format].count("/")]).problems
    assert problem.startswith(FIRST[format])


@pytest.mark.parametrize("format", FORMATS)
def test_empty_file(copy, format):
    folder = copy(format)
    (folder / FIRST[format]).write_bytes(b"")
    (problem,) = verify(folder).problems
    assert problem.startswith(FIRST[format])


@pytest.mark.parametrize("format", FORMATS)
def test_stray_file(copy, format):
    folder = copy(format)
    (folder / "notes.txt").write_text("mine")
    assert verify(folder).problems == ["notes.txt does not belong to the set"]


def test_one_value_of_one_pixel(copy):
    folder = copy()
    image = np.asarray(Image.open(folder / FIRST["imagefolder"])).copy()
    image[3, 4, 1] ^= 1
    Image.fromarray(image).save(folder / FIRST["imagefolder"])
    report = verify(folder)
    assert report.problems == ["images 0 and following: the pixels are not those that were generated"]
    assert report.checked == 72


def test_same_pixels_in_other_bytes(copy):
    folder = copy()
    Image.open(folder / FIRST["imagefolder"]).save(folder / FIRST["imagefolder"], dpi=(72, 72))
    (problem,) = verify(folder).problems
    assert "the pixels are right, but the files are not" in problem


def test_one_byte_of_an_array(copy):
    folder = copy("npy")
    raw = bytearray((folder / FIRST["npy"]).read_bytes())
    raw[-1] ^= 1
    (folder / FIRST["npy"]).write_bytes(raw)
    assert verify(folder).problems == ["images-000000.npy: the pixels are not those that were generated"]


def test_image_in_another_class_folder(copy):
    folder = copy()
    shutil.move(folder / FIRST["imagefolder"], folder / "T-shirt%2Ftop" / "000000000.png")
    assert verify(folder).problems == [
        "bag/000000000.png is missing",
        "T-shirt%2Ftop/000000000.png does not belong to the set",
    ]


def rewrite_tar(file, change) -> None:
    """Write a tar again with `change(name, data)` -> data, or None to leave the member out."""
    with tarfile.open(file) as archive:
        members = [(m.name, archive.extractfile(m).read()) for m in archive.getmembers()]
    with tarfile.open(file, "w") as archive:
        for name, data in members:
            if (data := change(name, data)) is not None:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))


def test_wrong_label_in_a_tar(copy):
    folder = copy("webdataset")
    rewrite_tar(folder / FIRST["webdataset"], lambda name, data: b"3" if name == "000000005.cls" else data)
    assert verify(folder).problems[0] == "image 5 is labelled 3, not 1"


def test_member_left_out_of_a_tar(copy):
    folder = copy("webdataset")
    rewrite_tar(folder / FIRST["webdataset"], lambda name, data: None if name == "000000005.png" else data)
    (problem,) = verify(folder).problems
    assert problem == "shard-000000.tar: expected member '000000005.png', got '000000006.cls'"


def test_image_of_another_size_is_not_unpacked(copy):
    folder = copy()
    Image.new("RGB", (5000, 5000)).save(folder / FIRST["imagefolder"])
    (problem,) = verify(folder).problems
    assert problem.endswith("expected 8x8 pixels of mode RGB, got 5000x5000 of mode RGB")


def test_changed_labels_array(copy):
    folder = copy("npy")
    np.save(folder / "labels.npy", np.zeros(N, np.int64))
    assert verify(folder).problems == ["labels.npy is not the file that was written"]
    (folder / "labels.npy").unlink()
    assert verify(folder).problems == ["labels.npy is missing"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": "generated/9"}, "format is 'generated/9', this version reads 'generated/1'"),
        ({"n": N + 500}, "700 images must be in 6 shards, got 2"),
        ({"n": N + 1}, "shard 1 must be 73 images from 128 on"),
        ({"n": "many"}, "not those of a generated set"),
        ({"n": 10**9}, "images must be in"),
        ({"n": 10**15}, "not those of a generated set"),
        ({"n": 10**9, "shard_size": 10**9}, "not those of a generated set"),
        ({"file_format": []}, "file_format must be one of"),
        ({"shards": None}, "shards must be a list"),
        ({"label_cycle": [9]}, "not those of a generated set"),
        ({"class_folders": ["../../etc"] * 4}, "not those of a generated set"),
        ({"file_format": "pickle"}, "file_format must be one of"),
        ({"files": [{"path": "../x", "sha256": ""}]}, "files must list [], got ['../x']"),
        ({"image": {"size": [16, 16], "channels": 3}}, "expected 16x16 pixels"),
    ],
    ids=lambda value: " ".join(f"{k}={v}" for k, v in value.items())[:40] if isinstance(value, dict) else "",
)
def test_manifest_that_does_not_fit(copy, change, sentence):
    folder = copy()
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, **change}))
    assert sentence in verify(folder).problems[0]


@pytest.mark.parametrize("text", ['{"format": ', "[]", "", "\\x00"])
def test_damaged_manifest(copy, text):
    folder = copy()
    (folder / "manifest.json").write_text(text)
    (problem,) = verify(folder).problems
    assert "manifest.json" in problem


def test_field_missing_in_manifest(copy):
    folder = copy()
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["weights_sha256"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert verify(folder).problems == ["manifest.json: weights_sha256 is missing"]


def test_unfinished_set(run, tmp_path):
    generate(run, N, tmp_path / "set", part=(0, 2), shard_size=128, device="cpu")
    (problem,) = verify(tmp_path / "set").problems
    assert "is not finished: 1 shards are there" in problem


def test_run(new_run, new_weights, tmp_path):
    run = new_run(tmp_path / "run")
    new_weights(run, step=2, init_seed=2)
    report = verify(run.path)
    assert (report.kind, report.checked, report.problems) == ("run", 2, [])
    weights = run.checkpoints()[0].path / "ema.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    report = verify(run.path)
    assert report.checked == 1
    assert report.problems == ["checkpoint 000002: ema.safetensors is not the file that was written"]


def test_run_without_checkpoint(new_run, tmp_path):
    run = new_run(tmp_path / "run")
    shutil.rmtree(run.checkpoint_folder)
    assert verify(run.path).problems == ["the run has no checkpoint"]


def test_neither_set_nor_run(tmp_path):
    with pytest.raises(OutputError, match=r"has neither manifest\.json nor config\.json"):
        verify(tmp_path)
    with pytest.raises(OutputError, match="does not exist"):
        verify(tmp_path / "nowhere")
