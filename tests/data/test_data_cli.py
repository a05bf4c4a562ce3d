"""`fastgan data`: what it prints, what it refuses, and with which exit code."""

import json

import pytest
from PIL import Image
from support.images import bomb_png, class_folder, picture, save

from fastgan.cli.app import run


def _run(capsys, *arguments):
    code = run(["data", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def _refused(capsys, *arguments, code=1):
    got, out, err = _run(capsys, *arguments)
    assert got == code and out == ""
    sentence = err.splitlines()[-1]
    assert sentence.startswith("fastgan: ") and "Traceback" not in err
    return sentence


def test_list(capsys):
    code, out, _ = _run(capsys, "list")
    assert code == 0 and out.splitlines()[0].split()[:3] == ["digits", "here", "BSD-3-Clause"]
    assert [row["name"] for row in json.loads(_run(capsys, "list", "--json")[1])] == [
        "digits",
        "fashion-mnist",
    ]


def test_fetch_digits(capsys):
    code, out, _ = _run(capsys, "fetch", "digits", "--json")
    assert code == 0 and json.loads(out)["path"].endswith("digits.csv.gz")


def test_inspect_json(capsys, tmp_path):
    folder = class_folder(tmp_path / "set", {"cat": 9, "dog": 8}, 20, 20)
    (folder / "cat" / "text.png").write_text("no image, only text")
    code, out, _ = _run(capsys, "inspect", folder, "--grid", tmp_path / "grid.png", "--json")
    assert code == 0
    report = json.loads(out)
    assert report["classes"] == ["cat", "dog"] and sum(report["counts"].values()) == 17
    assert report["natural_sizes"] == [{"size": [20, 20], "images": 17}]
    assert report["transform"] == {"size": [20, 20], "fit": "crop", "channels": 3, "alpha": "white"}
    assert report["skipped_files"] == [{"name": "cat/text.png", "reason": "not a PNG, JPEG or WebP image"}]
    with Image.open(tmp_path / "grid.png") as sheet:
        colours = sheet.convert("RGB").getcolors(1 << 20)
    assert len(colours) > 500


def test_inspect_text(capsys, tmp_path):
    folder = class_folder(tmp_path, {"cat": 9, "dog": 8}, 20, 20)
    (folder / "cat" / "text.png").write_text("no image, only text")
    code, out, err = _run(capsys, "inspect", folder, "--size", "16x24", "--fit", "pad", "--channels", "1")
    assert code == 0
    assert "17 images, 2 classes" in out and "used as: 16x24 grey, fit pad, alpha white" in out
    assert "cat/text.png: not a PNG, JPEG or WebP image" in out
    assert "decoding" in err


@pytest.mark.parametrize("alpha", ["white", "black", "keep"])
def test_inspect_alpha_under_a_jpg_name(capsys, tmp_path, alpha):
    for i in range(3):
        save(tmp_path / f"{i}.jpg", picture(i, 16, 16, 4), "PNG")
    code, out, _ = _run(capsys, "inspect", tmp_path, "--alpha", alpha, "--json")
    assert code == 0
    report = json.loads(out)
    assert report["alpha"] == 3 and report["transform"]["channels"] == (4 if alpha == "keep" else 3)


@pytest.mark.parametrize(
    "arguments",
    [
        ("inspect", "digits", "--no-such-flag"),
        ("inspect", "digits", "--fit", "zoom"),
        ("inspect", "digits", "--alpha", "red"),
        ("inspect", "digits", "--channels", "2"),
        ("inspect", "digits", "--size", "big"),
        ("inspect", "digits", "--channels", "4"),
        ("inspect", "digits", "--channels", "3", "--alpha", "keep"),
        ("fetch", "cifar"),
        ("inspect",),
    ],
)
def test_wrong_usage_exits_2(capsys, arguments):
    _refused(capsys, *arguments, code=2)


def test_failures_exit_1_with_one_sentence(capsys, tmp_path):
    assert "does not exist" in _refused(capsys, "inspect", tmp_path / "gone")
    assert "holds no PNG, JPEG or WebP image" in _refused(capsys, "inspect", tmp_path)
    (tmp_path / "text.png").write_text("no image, only text")
    assert "none of its 1 image(s) can be used; the first is text.png" in _refused(capsys, "inspect", tmp_path)
    (tmp_path / "text.png").unlink()
    bomb_png(tmp_path / "bomb.png")
    assert "30,000 x 30,000 pixels" in _refused(capsys, "inspect", tmp_path)
    sentence = _refused(capsys, "inspect", "digits", "--size", "30x30")
    assert "28" in sentence or "32" in sentence


@pytest.mark.parametrize("command", ["list", "inspect", "fetch"])
def test_the_example_of_each_help_runs(capsys, command):
    told = _run(capsys, command, "--help")[1]
    example = told.split("Example: fastgan ")[1].splitlines()[0].split()
    assert example[:2] == ["data", command]
    if command != "fetch":  # thirty megabytes; test_fetch.py does it
        code, out, _ = _run(capsys, *example[1:])
        assert code == 0 and out
