"""`fastgan generate` and `fastgan verify`: results, exit codes, and signals to real processes."""

import json
import signal
import subprocess
import sys
import time

import pytest

from fastgan.cli.app import run as fastgan


def test_generate_then_verify_then_damage(run, tmp_path, capsys):
    out = tmp_path / "set"
    assert fastgan(f"generate {run.path} --n 100 --out {out} --classes bag,3 --json".split()) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["manifest"], result["written"]) == (str(out / "manifest.json"), 100)
    assert {p.name for p in out.iterdir()} == {"bag", "%42AG", "manifest.json"}

    assert fastgan(f"generate {run.path} --n 100 --out {out} --classes bag,3".split()) == 0
    assert capsys.readouterr().out.startswith("nothing to do: ")

    assert fastgan(["verify", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}: generated set is whole, 100 images checked\n"

    (out / "bag" / "000000000.png").unlink()
    (out / "bag" / "000000002.png").unlink()
    assert fastgan(["verify", str(out)]) == 1
    assert "is damaged: bag/000000000.png is missing (1 more)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("format", "lost"),
    [("imagefolder", "bag/000000000.png"), ("webdataset", "shard-000000.tar"), ("npy", "labels.npy")],
)
def test_a_finished_set_that_lost_a_file_is_not_called_complete(run, tmp_path, capsys, format, lost):
    out = tmp_path / "set"
    command = f"generate {run.path} --n 70 --out {out} --format {format}".split()
    assert fastgan(command) == 0
    (out / lost).unlink()
    capsys.readouterr()
    assert fastgan(command) == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    assert f"{out} is not whole: {lost} is missing" in said.err
    assert f"remove {out} and run the same command again" in said.err and f"fastgan verify {out}" in said.err


def test_part_says_what_is_missing(run, tmp_path, capsys):
    out = tmp_path / "set"
    assert fastgan(f"generate {run.path} --n 1030 --out {out} --part 1/2 --format npy".split()) == 0
    assert "this part is complete (6 images" in capsys.readouterr().out
    assert fastgan(["verify", str(out)]) == 1
    assert "is not finished" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--n", "0"], 2, "--n"),
        (["--n", "5", "--part", "2/2"], 2, "--part must be i/n with 0 <= i < n"),
        (["--n", "5", "--format", "zip"], 2, "imagefolder"),
        (["--n", "5", "--device", "gpu"], 2, "'gpu' is not one of 'auto', 'cpu', 'cuda'"),
        (["--n", "5", "--precision", "fp8"], 2, "'fp8' is not one of"),
        (["--n", "5", "--classes", "shoe"], 1, "0: bag, 1: T-shirt/top, 2: con, 3: BAG"),
        (["--n", "5", "--nonsense"], 2, "--nonsense"),
    ],
    ids=["n", "part", "format", "device", "precision", "class", "unknown flag"],
)
def test_mistakes_are_one_sentence(run, tmp_path, capsys, arguments, code, sentence):
    assert fastgan(["generate", str(run.path), "--out", str(tmp_path / "set"), *arguments]) == code
    said = capsys.readouterr()
    assert said.out == "" and sentence in said.err and said.err.count("\n") == 1
    assert not (tmp_path / "set").exists()


def test_folder_that_cannot_be_written(run, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "set"
    assert fastgan(["generate", str(run.path), "--n", "10", "--out", str(out)]) == 1
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.slow
def test_signals_stop_with_a_sentence_and_the_same_command_goes_on(new_run, tmp_path, capsys):
    run = new_run(tmp_path / "run", size=(32, 32), width=32)
    out = tmp_path / "set"
    arguments = f"generate {run.path} --n 12288 --out {out} --format npy --device cpu".split()
    have = 0
    for number, code in ((signal.SIGTERM, 0), (signal.SIGINT, 130)):
        command = [sys.executable, "-m", "fastgan", *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while process.poll() is None and len(list(out.glob("images-*.npy"))) <= have:
            time.sleep(0.01)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=60)
        assert process.returncode == code, stderr
        assert stdout.startswith("stopped: ") and "run the same command again to go on" in stdout
        assert not list((out / ".fastgan").glob("staging-*"))
        assert have < len(list((out / ".fastgan" / "journal").glob("*.json"))) < 12
        have = len(list(out.glob("images-*.npy")))

    assert fastgan([*arguments, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["kept"], result["total"]) == (1024 * have, 12288) and result["manifest"]
