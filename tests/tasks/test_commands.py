"""`fastgan study`, `report` and `demo`: choices refused at once, and data that moved."""

import json

import pytest

from fastgan.cli.app import run as fastgan
from fastgan.run import Run

STUDY = ["--seeds", "1", "--steps", "2", "--synthetic", "20", "--batch", "8", "--device", "cpu", "--json"]


@pytest.fixture
def gone(run) -> Run:
    """The run after its data went."""
    config = json.loads((run.path / "config.json").read_text())
    config["data"]["source"] = "/nowhere/at/all"
    (run.path / "config.json").write_text(json.dumps(config))
    return Run.open(run.path)


@pytest.mark.parametrize("command", [["study", "classify", "--run", "x"], ["report", "x"], ["demo", "--out", "x"]])
@pytest.mark.parametrize("option", [["--device", "gpu"], ["--precision", "fp8"]])
def test_unknown_choices_are_usage_errors(tmp_path, monkeypatch, capsys, command, option):
    monkeypatch.chdir(tmp_path)
    assert fastgan([*command, *option]) == 2
    said = capsys.readouterr()
    assert said.out == "" and f"{option[1]!r} is not one of" in said.err and said.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_share_that_rounds_to_nothing_is_refused_before_any_work(tmp_path, capsys):
    assert fastgan(["study", "classify", "--run", str(tmp_path / "x"), "--share", "0.01", "--batch", "8"]) == 1
    assert "share 0.01 of a batch of 8 is 0 synthetic images" in capsys.readouterr().err


def test_study_of_data_that_moved(gone, moved, capsys):
    command = ["study", "classify", "--run", str(gone.path), *STUDY]
    assert fastgan(command) == 1
    assert "--data SOURCE" in capsys.readouterr().err
    assert fastgan([*command, "--data", str(moved)]) == 0
    assert f"--data {moved}" in json.loads(capsys.readouterr().out)["command"]


def test_report_of_data_that_moved(gone, moved, capsys):
    assert fastgan(["report", str(gone.path), "--device", "cpu"]) == 0
    page = (gone.path / "report.html").read_text()
    assert "--data SOURCE" in page and 'alt="Real images' not in page
    assert fastgan(["report", str(gone.path), "--device", "cpu", "--data", str(moved)]) == 0
    page = (gone.path / "report.html").read_text()
    assert page.count('alt="Real images') == 10
    assert f"fastgan train {moved}" in page and f"--data {moved}" in page
