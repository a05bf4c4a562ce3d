"""The report: whole HTML, nothing loaded from outside, every section there, gaps said in words."""

import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from fastgan.run import Run
from fastgan.tasks.classify import StudyOptions, study_classify
from fastgan.tasks.figures import REAL, line_chart, strip
from fastgan.tasks.report import write_report
from fastgan.tasks.synthetic import synthetic_images

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
    text = write_report(run, **options).read_text()
    page = Page(text)
    loads_nothing(text, page)
    return text, page


def edit(run: Run, **data) -> Run:
    config = json.loads((run.path / "config.json").read_text())
    config["data"] |= data
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
    from fastgan.tasks.report_facts import Generated

    out = tmp_path / "deep" / "page.html"
    generated = Generated(tmp_path / "set", 5000, 3, 10.0)
    _, page = report(run, out=out, generated=generated, notes=("A note & more.",))
    assert out.exists() and "A note & more." in page.text
    assert f"fastgan generate {run.path} --n 5000 --seed 3 --out {tmp_path / 'set'}" in page.text
    assert "Generating to disk 500" in page.text


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
