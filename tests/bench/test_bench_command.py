"""`fastgan bench` from the outside: each suite at tiny sizes, its files, missing peers, and mistakes."""

import json
import signal
import subprocess
import sys

import pytest
from fastgan.bench import engines
from fastgan.bench import run as bench_run
from fastgan.bench.engines import BY_NAME, OURS, missing
from fastgan.bench.options import SUITES, Options, peer_names
from fastgan.bench.run import chosen

from fastgan.cli.app import run

TINY = ("--size", "16x16", "--width", 8, "--threads", 1, "--rounds", 1, "--seconds", 0.001, "--waiting", "passive")
RECORD = {
    "suite": str,
    "case": str,
    "batch": int,
    "backend": str,
    "waiting": str,
    "device": str,
    "precision": str,
    "img_per_s": dict,
    "best_peer": str,
    "ratio_to_best_peer": float,
    "gflop_per_image": float,
    "roofline_fraction": float,
    "max_rel_err": float,
    "seconds_per_call": list,
    "refused": str,
    "machine": dict,
}
MACHINE = {"cpu", "capability", "threads", "torch", "versions", "python", "system", "commit"}


def bench(tmp_path, *arguments) -> dict:
    """The result of a command that ends well."""
    code = run(["bench", *map(str, arguments), "--out", str(tmp_path / "out")])
    assert code == 0
    return json.loads((tmp_path / "out/results.json").read_text())


def check_records(result, suite: str) -> dict:
    """Every record has every field, of its type or None; all of `suite` and none refused. By backend."""
    assert result["records"]
    for record in result["records"]:
        for name, kind in RECORD.items():
            assert record[name] is None or isinstance(record[name], kind), (name, record[name])
        assert set(record) - set(RECORD) <= {"bytes"}
        assert record["suite"] == suite
        assert record["refused"] is None, record
        assert set(record["machine"]) >= MACHINE
        if record["img_per_s"]:
            assert record["img_per_s"]["p20"] <= record["img_per_s"]["p50"] <= record["img_per_s"]["p80"]
    return {record["backend"]: record for record in result["records"]}


@pytest.mark.slow
def test_generator(tmp_path, capsys):
    copy = tmp_path / "copy.json"
    peers = ["eager", *(n for n in ("onnxruntime", "openvino") if missing(BY_NAME[n]) is None)]
    result = bench(tmp_path, "generator", "--batch", 2, "--peers", ",".join(peers), "--json", copy, *TINY)
    records = check_records(result, "generator")
    assert set(records) == {OURS, *peers}
    assert {record["case"] for record in result["records"]} == {"unconditional", "10 classes"}
    assert records["eager"]["best_peer"] in peers
    assert all(record["machine"]["versions"][name] for record in result["records"] for name in ("torch", "fastgan"))
    assert json.loads(copy.read_text()) == result
    out, err = capsys.readouterr()
    assert "of roofline" in out
    assert "generator, unconditional, batch 2: round 1 of 1, eager" in err
    page = (tmp_path / "out/report.html").read_text()
    assert "http" not in page
    assert "fastgan runs at" in page
    assert (tmp_path / "out/generator.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_train_step(tmp_path):
    result = bench(tmp_path, "train-step", "--batch", 2, "--peers", "eager", *TINY)
    records = check_records(result, "train-step")
    assert [record["case"] for record in result["records"]] == ["plain"] * 2 + ["with R1"] * 2
    assert records[OURS]["ratio_to_best_peer"] > 0


@pytest.mark.slow
def test_quick_with_both_ways_of_waiting_asks_for_one(tmp_path):
    tiny = TINY[:-2]
    result = bench(tmp_path, "--batch", 2, "--peers", "eager", *tiny)
    assert {record["waiting"] for record in result["records"]} == {"passive"}
    assert {record["suite"] for record in result["records"]} == {"generator", "train-step"}


@pytest.mark.slow
def test_memory(tmp_path, capsys):
    # Of a smaller step workspaces are a third, and whether malloc rounds one up to pages differs from run to run.
    result = bench(tmp_path, "memory", "--batch", 32, *TINY, "--size", "32x32", "--width", 32)
    assert set(check_records(result, "memory")) == {OURS, "eager", "channels-last"}
    if not result["notes"]:
        for record in result["records"]:
            measured = record["bytes"]
            assert measured["transient"] >= measured["saved"] > 0
            assert record["backend"] != OURS or record["ratio_to_best_peer"] > 1
    assert "transient MB" in capsys.readouterr().out


@pytest.mark.slow
def test_generate(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = bench(tmp_path, "generate", "--batch", 128, *TINY)
    check_records(result, "generate")
    ways = ["freeze in memory", "raw uint8 shards", "webdataset", "PNG folders"]
    assert [record["case"] for record in result["records"]] == ways
    assert result["records"][0]["ratio_to_best_peer"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert "of memory" in capsys.readouterr().out


@pytest.mark.slow
def test_ops(tmp_path):
    result = bench(tmp_path, "ops", "--batch", 2, *TINY)
    records = [record for record in result["records"] if "gan_loss" not in record["case"]]
    check_records(result, "ops")
    assert {record["case"].rpartition(", ")[2] for record in records} == {"forward", "input grad", "weight grad"}
    assert {record["backend"] for record in records} == {OURS, "aten", "stock torch"}
    lost = {r["case"] for r in result["records"] if r["backend"] == OURS and r["ratio_to_best_peer"] < 1}
    assert len(result["notes"]) == len(lost)


def test_a_missing_peer_is_one_line_with_the_way_to_get_it(monkeypatch):
    absent = BY_NAME["openvino"].packages
    real = engines.importlib.util.find_spec
    monkeypatch.setattr(engines.importlib.util, "find_spec", lambda name: None if name in absent else real(name))
    notes = []
    backends = chosen(Options(peers="eager,openvino"), notes)
    assert [backend.name for backend in backends] == [OURS, "eager"]
    assert notes == ["openvino: not installed: pip install onnx onnxscript openvino"]


def test_a_python_that_is_not_there_is_a_missing_peer(tmp_path):
    python = str(tmp_path / "python")
    assert missing(BY_NAME["jax"], python) == f"{python} does not run: No such file or directory"


def test_peers_by_name():
    assert "max-autotune" in peer_names("all")
    assert "max-autotune" not in peer_names("installed")
    assert peer_names("none") == ()
    assert peer_names("jax, eager") == ("jax", "eager")
    assert OURS not in peer_names("all")


def test_an_interruption_is_told_and_what_was_measured_is_written(tmp_path, capsys, monkeypatch, result):
    def suite(options, machine, records, notes, say):
        records += result(("a", OURS, 100.0))["records"]
        raise KeyboardInterrupt

    monkeypatch.setitem(bench_run._SUITES, "generator", suite)
    assert run(["bench", "generator", "--out", str(tmp_path)]) == 130
    assert json.loads((tmp_path / "results.json").read_text())["interrupted"] is True
    assert "interrupted: only finished rounds count" in capsys.readouterr().out


@pytest.mark.slow
def test_ctrl_c_ends_every_process_and_keeps_the_finished_turns(tmp_path):
    words = ["bench", "generator", "--batch", "2", "--peers", "eager", *map(str, TINY), "--rounds", "100000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "fastgan", *words, "--out", str(tmp_path)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    said = []
    for line in process.stderr:
        said.append(line)
        if "round 3 of" in line:
            process.send_signal(signal.SIGINT)
            break
    assert "Traceback" not in process.stderr.read()
    assert process.wait(60) == 130, said
    result = json.loads((tmp_path / "results.json").read_text())
    assert result["interrupted"] is True
    assert {record["backend"] for record in result["records"]} == {OURS, "eager"}
    # Of the faster one: on a busy machine a first turn may make the other look hopeless, and it sits out the rest.
    assert max(len(record["seconds_per_call"]) for record in result["records"]) >= 2


def test_a_wrong_fastgan_is_a_failure(tmp_path, capsys, monkeypatch, result):
    def suite(options, machine, records, notes, say):
        records += result(("a", OURS, None))["records"]

    monkeypatch.setitem(bench_run._SUITES, "generator", suite)
    assert run(["bench", "generator", "--out", str(tmp_path)]) == 1
    assert "fastgan: generator, a, batch 64: wrong: images differ" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["speed"], f"SUITE must be one of {', '.join(SUITES)} or compare, got 'speed'"),
        (["generator", "--peers", "eager,tensorlow"], "got 'tensorlow'"),
        (["generator", "--peers", ","], "peers must be"),
        (["generator", "--rounds", "0"], "--rounds"),
        (["generator", "--batch", "0"], "--batch"),
        (["generator", "--size", "big"], "--size must be HxW"),
        (["generator", "--size", "9x64"], "size"),
        (["generator", "--waiting", "never"], "--waiting must be one of both, passive, default, got 'never'"),
        (["generator", "a.json"], "a.json is for compare alone"),
        (["compare", "a.json"], "compare needs the old and the new JSON file, got 1"),
    ],
)
def test_mistakes(arguments, sentence, capsys):
    assert run(["bench", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert sentence in err.strip().splitlines()[-1]
