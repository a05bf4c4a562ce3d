"""The report: whole HTML, nothing loaded from outside, every section there, gaps said in words."""

import base64
import html
import io
import json
import re
import shlex
from dataclasses import fields
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image
from typer.main import get_command

from fastgan.cli.app import COMMANDS, build
from fastgan.data import load
from fastgan.run import Run
from fastgan.tasks.classify import StudyOptions, study_classify
from fastgan.tasks.figures import REAL, line_chart, strip
from fastgan.tasks.report import write_report
from fastgan.tasks.report_facts import Generated
from fastgan.tasks.synthetic import synthetic_images
from fastgan.tasks.trainings import cores
from fastgan.train import TrainOptions

_VOID = {"meta", "img", "br", "hr", "link", "input", "path", "use", "rect"}


class Page(HTMLParser):
    """Checks nesting and collects attributes, text, and sources of images."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        if tag in _VOID:
            return
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    @property
    def images(self) -> list[str]:
        return [value for tag, name, value in self.attributes if tag == "img" and name == "src"]


def loads_nothing(text: str, page: Page) -> None:
    assert not re.search(r"https?://|//cdn|@import|url\((?!#)", text)
    for tag, name, value in page.attributes:
        if name in ("src", "href", "xlink:href", "data", "poster", "srcset", "action"):
            assert value.startswith(("data:", "#")), (tag, name, value[:60])
    assert "<script" not in text


def report(run: Run, **options) -> tuple[str, Page]:
    text = write_report(run, **{"device": "cpu", **options}).read_text()
    page = Page(text)
    loads_nothing(text, page)
    return text, page


def edit(run: Run, part="data", **values) -> Run:
    config = json.loads((run.path / "config.json").read_text())
    config[part] |= values
    (run.path / "config.json").write_text(json.dumps(config))
    return Run.open(run.path)


@pytest.fixture
def studied(run):
    options = StudyOptions(seeds=2, steps=3, synthetic=40, batch=8, device="cpu")
    return run, study_classify(run, options, command=options.command_line(run.path))


def test_everything_is_there(studied):
    run, study = studied
    text, page = report(run)
    assert study["sentence"].replace(" -", " −") in page.text.replace(" -", " −")
    assert study["conditions"] in page.text
    for heading in ("Images", "Do the images help a classifier?", "Training", "Speed", "Do it again"):
        assert f"<h2>{heading}</h2>" in text
    assert len(page.images) == 2 * 10
    assert text.count("<svg") == 5  # study, KID, losses, discriminator, speed
    assert f"fastgan train digits --out {run.path}" in page.text and "--real-per-class 30" in page.text
    assert f"fastgan study classify --run {run.path} --seeds 2 --steps 3" in page.text
    assert run.weights_sha256() in page.text
    assert "BSD-3-Clause" in page.text
    for arm in study["arms"].values():
        assert f"{100 * arm['accuracy']['mean']:.2f}" in page.text


def test_the_grid_shows_the_images_themselves(run):
    _, page = report(run)
    picture = Image.open(io.BytesIO(base64.b64decode(page.images[2 * 3 + 1].removeprefix("data:image/png;base64,"))))
    factor = 12  # 96 / 8
    assert picture.size == (8 * 8 * factor + 7 * 6, 8 * factor)
    pixels = np.asarray(picture)[..., 0]
    images, labels = synthetic_images(run, 80)
    first_of_class_3 = images[np.flatnonzero(labels == 3)[0]][..., 0]
    assert np.array_equal(pixels[factor // 2 :: factor, factor // 2 : 8 * factor : factor], first_of_class_3)


def test_without_a_study_it_says_how_to_make_one(run):
    _, page = report(run)
    assert f"fastgan study classify --run {run.path}" in page.text


def test_missing_data_and_hostile_names_are_shown_as_text(run):
    names = ["<script>alert(1)</script>", *[f"c{i}" for i in range(1, 10)]]
    text, page = report(edit(run, classes=names, source="/nowhere/at/all"))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "The real images cannot be shown" in page.text and len(page.images) == 10
    assert "licence of the images is not recorded" in page.text


def test_a_damaged_study_record_counts_as_none(studied):
    run, _ = studied
    (run.path / "study" / "classify.json").write_text('{"format": ')
    _, page = report(run)
    assert "No study was made of this run yet" in page.text


def test_out_notes_and_generated_set(run, tmp_path):
    out = tmp_path / "deep" / "page.html"
    generated = Generated(tmp_path / "set", 5000, 3, 10.0, device="cpu", precision="bf16", threads=7, torch="2.99")
    _, page = report(run, out=out, generated=generated, notes=("A note & more.",))
    assert out.exists() and "A note & more." in page.text
    assert f"fastgan generate {run.path} --n 5000 --seed 3 --device cpu --precision bf16" in page.text
    assert (
        "Generating to disk 500 5,000 PNG files in class folders, 8 × 8 × 1, bf16, device cpu, 7 threads, torch 2.99"
        in (page.text)
    )


def test_training_speed_has_the_conditions_of_the_training(run):
    changed = edit(run, part="machine", device="cuda:7", threads=13)
    _, page = report(edit(changed, part="versions", torch="2.77"), precision="bf16")
    assert "8 × 8 × 1, batch 32, fp32; as it began: device cuda:7, 13 threads, torch 2.77" in page.text
    assert f"8 × 8 × 1, bf16, device cpu, {cores()} thread" in page.text and f"torch {torch.__version__}" in page.text


def parsed(command: str) -> dict:
    """The parameters that the real command line reads from a printed command; unknown flags and values raise."""
    words = shlex.split(command)
    assert words[0] == "fastgan"
    found, rest = get_command(build(COMMANDS)), words[1:]
    while hasattr(found, "commands"):
        found, rest = found.commands[rest[0]], rest[1:]
    return found.make_context("command", rest).params


def commands_of(text: str) -> list[str]:
    block = re.search(r"<h2>Do it again</h2>\s*<pre>(.*?)</pre>", text, re.DOTALL)[1]
    return [html.unescape(command) for command in re.findall(r"<code>(.*?)</code>", block)]


# Of every option another value than the default.
OTHER = {
    "images": 640, "minutes": 1.5, "patience": 3, "snapshot_images": 64, "batch": 16, "loss": "hinge",
    "lr_generator": 1e-4, "lr_discriminator": 2e-4, "beta1": 0.4, "beta2": 0.99, "ema": 0.9, "width": 16, "z_dim": 9,
    "preset": "dcgan", "seed": 5, "precision": "bf16", "device": "cpu", "real_per_class": 30, "flip": True,
    "kid_images": 50,
}  # fmt: skip


def test_every_printed_command_is_one_that_the_command_line_has(studied, tmp_path):
    run, _ = studied
    assert set(OTHER) == {f.name for f in fields(TrainOptions)}
    generated = Generated(tmp_path / "set", 50, 3, 1.0, device="cpu", precision="bf16", threads=1, torch="2")
    text, page = report(edit(run, part="train", **OTHER), generated=generated, data="digits", precision="bf16")
    trained, made, studying, reporting = map(parsed, commands_of(text))
    only_python = {"beta1", "beta2", "ema", "kid_images"}
    assert {name: trained[name] for name in OTHER if name not in only_python} == {
        name: value for name, value in OTHER.items() if name not in only_python
    }
    assert not only_python & set(trained)
    assert "only Python can set: beta1=0.4, beta2=0.99, ema=0.9, kid_images=50" in page.text
    assert (made["n"], made["seed"], made["device"], made["precision"]) == (50, 3, "cpu", "bf16")
    assert (studying["seeds"], studying["steps"], studying["batch"]) == (2, 3, 8)
    assert (reporting["data"], reporting["device"], reporting["precision"]) == ("digits", "cpu", "bf16")


def test_every_study_option_is_one_that_the_command_line_has(tmp_path):
    other = {"seeds": 2, "steps": 7, "synthetic": 9, "synthetic_seed": 3, "share": 0.25, "batch": 8}
    other |= {"device": "cpu", "precision": "bf16"}
    assert set(other) == {f.name for f in fields(StudyOptions)}
    read = parsed(StudyOptions(**other).command_line(tmp_path, "digits"))
    assert {name: read[name] for name in other} == other and read["data"] == "digits"


def test_defaults_set_nothing_that_only_python_can(run):
    _, page = report(run)
    assert "only Python can set" not in page.text


def test_a_run_of_arrays_says_how_it_was_made(run):
    text, page = report(edit(run, source=None))
    assert not any(command.startswith("fastgan train") for command in commands_of(text))
    assert "trained on arrays in Python" in page.text


def test_a_class_without_training_images_has_an_empty_cell(run):
    digits = load("digits")
    hashes = {f"{h:016x}" for h in digits.hashes[digits.labels == 4]}
    subset = run.config["data"]["subset"]
    kept = [h for h in subset["hashes"] if h not in hashes]
    text, page = report(edit(run, subset={**subset, "images": len(kept), "hashes": kept}))
    assert len(page.images) == 2 * 10 - 1
    assert page.text.count("no training images") == 1
    assert 'alt="Real images of class 4"' not in text and 'alt="Synthetic images of class 4"' in text


def test_charts_follow_the_page_and_carry_no_foreign_names():
    svg = line_chart([0, 1000, 2000], [(REAL, [1.0, 0.1, 0.01])], label="x", log=True, level=0.02)
    Page(svg)
    assert "var(--real)" in svg and "var(--muted)" in svg
    assert not re.search(r"#0[1-6]0|http|DejaVu|<style| id=\"\w+_\d", svg)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_strips_of_every_kind_of_image(channels):
    images = np.random.default_rng(0).integers(0, 256, (3, 100, 80, channels), dtype=np.uint8)
    picture = Image.open(io.BytesIO(base64.b64decode(strip(images, 2).removeprefix("data:image/png;base64,"))))
    assert picture.size == (2 * 80 + 6, 2 * 100 + 6)
    corner = np.asarray(picture)[0, 0]
    assert corner[: min(channels, 3)].tolist() == images[0, 0, 0, : min(channels, 3)].tolist()
