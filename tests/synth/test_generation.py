"""Generating in parts, going on, stopping, and refusing folders of other jobs."""

import json
import multiprocessing
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from fastgan.errors import OutputError, RunError
from fastgan.run import Run
from fastgan.synth import generate, produce
from fastgan.synth.job import plan
from fastgan.synth.store import SetFolder

N = 300  # shards of 64: four full, one short
OPTIONS = {"format": "npy", "shard_size": 64, "device": "cpu"}


@pytest.fixture(scope="module")
def whole(run, tmp_path_factory):
    """The manifest of an undisturbed set."""
    return generate(run, N, tmp_path_factory.mktemp("whole") / "set", **OPTIONS)


def contents(folder) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_nothing_but_the_set_is_left(whole):
    assert set(contents(whole.parent)) == {
        *(f"images-{k:06d}.npy" for k in range(5)),
        *("labels.npy", "manifest.json"),
    }


def test_second_call_has_nothing_to_do(run, whole):
    before = {p: p.stat().st_mtime_ns for p in whole.parent.iterdir()}
    outcome = produce(run, N, whole.parent, **OPTIONS)
    assert (outcome.manifest, outcome.written, outcome.kept) == (whole, 0, N)
    assert {p: p.stat().st_mtime_ns for p in whole.parent.iterdir()} == before


def test_larger_set_begins_with_the_same_images(run, whole, tmp_path):
    larger = json.loads(generate(run, 2 * N, tmp_path / "set", **OPTIONS).read_text())
    assert larger["shards"][:4] == json.loads(whole.read_text())["shards"][:4]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)], ids=["first to last", "mixed"])
def test_parts_one_after_the_other_give_the_same_set(run, whole, tmp_path, order):
    results = [generate(run, N, tmp_path / "set", part=(i, 3), **OPTIONS) for i in order]
    assert results[:2] == [None, None]
    assert contents(tmp_path / "set") == contents(whole.parent)


@pytest.mark.slow
def test_parts_at_the_same_moment_give_the_same_set(run, whole, tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fastgan.synth"])
    processes = [
        context.Process(target=generate, args=(run.path, N, tmp_path / "set"), kwargs={"part": (i, 2), **OPTIONS})
        for i in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert contents(tmp_path / "set") == contents(whole.parent)


def test_more_parts_than_shards(run, tmp_path):
    assert produce(run, 10, tmp_path / "set", part=(3, 4), **OPTIONS).total == 0
    assert generate(run, 10, tmp_path / "set", part=(0, 4), **OPTIONS)


def test_two_torch_threads_give_the_same_set(new_run, tmp_path):
    run = new_run(tmp_path / "run", size=(32, 32), width=16)
    one = generate(run, N, tmp_path / "one", **OPTIONS)
    torch.set_num_threads(2)
    two = generate(run, N, tmp_path / "two", **OPTIONS)
    with ThreadPoolExecutor() as later:
        assert [torch.get_num_threads(), later.submit(torch.get_num_threads).result()] == [2, 2]
    assert contents(two.parent) == contents(one.parent)


@pytest.mark.parametrize("format", ["imagefolder", "webdataset", "npy"])
def test_stopped_and_continued(run, tmp_path, format):
    options = {**OPTIONS, "format": format}
    calls = []

    def should_stop() -> bool:
        calls.append(1)
        return len(calls) > 3

    outcome = produce(run, N, tmp_path / "set", should_stop=should_stop, **options)
    assert outcome.stopped and outcome.manifest is None and 0 < outcome.written < N
    assert not list((tmp_path / "set" / ".fastgan").glob("staging-*"))
    outcome = produce(run, N, tmp_path / "set", **options)
    assert outcome.manifest and outcome.kept == 192 and outcome.written == N - 192
    undisturbed = generate(run, N, tmp_path / "whole", **options)
    assert contents(tmp_path / "set") == contents(undisturbed.parent)


def test_progress_counts_images(run, tmp_path):
    seen = []
    generate(run, N, tmp_path / "set", progress=lambda *report: seen.append(report), **OPTIONS)
    assert [done for done, _, _ in seen] == [64, 128, 192, 256, 300]
    assert {total for _, total, _ in seen} == {N} and seen[-1][2].endswith("img/s")


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("n", {"n": N + 1}),
        ("seed", {"seed": 1}),
        ("label_cycle", {"classes": "con"}),
        ("file_format", {"format": "webdataset"}),
        ("precision", {"precision": "bf16"}),
        ("shard_size", {"shard_size": 128}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("state", ["finished", "unfinished"])
def test_other_job_is_refused_naming_the_field(run, whole, tmp_path, field, change, state):
    out = whole.parent
    if state == "unfinished":
        out = tmp_path / "set"
        generate(run, N, out, part=(0, 2), **OPTIONS)
    before = contents(out)
    arguments = {"n": N, **OPTIONS, **change}
    with pytest.raises(OutputError, match=rf"its {field} is .*this command has .*choose another --out"):
        generate(run, arguments.pop("n"), out, **arguments)
    assert contents(out) == before


def test_png_level_belongs_to_the_job(run, tmp_path):
    options = {**OPTIONS, "format": "imagefolder"}
    generate(run, 10, tmp_path / "set", png_level=2, **options)
    with pytest.raises(OutputError, match="its png_level is 2, this command has 3"):
        generate(run, 10, tmp_path / "set", png_level=3, **options)


def test_other_weights_are_refused(new_run, new_weights, tmp_path):
    run = new_run(tmp_path / "run")
    generate(run, N, tmp_path / "set", part=(0, 2), **OPTIONS)
    new_weights(run, step=2, init_seed=5)
    with pytest.raises(OutputError, match="its weights_sha256 is"):
        generate(run, N, tmp_path / "set", part=(1, 2), **OPTIONS)


@pytest.mark.parametrize(
    ("field", "value"), [("capability", "mmx"), ("versions", {"torch": "1.0"})], ids=["cpu", "torch"]
)
def test_other_arithmetic_is_refused(run, tmp_path, field, value):
    generate(run, N, tmp_path / "set", part=(0, 2), **OPTIONS)
    file = tmp_path / "set" / ".fastgan" / "job.json"
    job = json.loads(file.read_text())
    job[field] = {**job[field], **value} if isinstance(value, dict) else value
    file.write_text(json.dumps(job))
    with pytest.raises(OutputError, match='its (capability is "mmx"|version of torch is "1.0")'):
        generate(run, N, tmp_path / "set", part=(1, 2), **OPTIONS)


def test_renamed_run_goes_on(run, whole, tmp_path):
    generate(run, N, tmp_path / "set", part=(0, 2), **OPTIONS)
    shutil.copytree(run.path, tmp_path / "renamed")
    manifest = generate(tmp_path / "renamed", N, tmp_path / "set", part=(1, 2), **OPTIONS)
    assert manifest.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("lost", ["images-000000.npy", "images-000004.npy"])
def test_an_unfinished_set_that_lost_a_file_gets_it_again(run, whole, tmp_path, lost):
    generate(run, N, tmp_path / "set", part=(0, 2), **OPTIONS)
    (tmp_path / "set" / lost).unlink()
    outcome = produce(run, N, tmp_path / "set", **OPTIONS)
    assert outcome.manifest and outcome.written + outcome.kept == N
    assert contents(tmp_path / "set") == contents(whole.parent)


def test_foreign_folder_is_refused(run, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(OutputError, match="is not empty and holds no generated set"):
        generate(run, N, tmp_path, **OPTIONS)
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]
    with pytest.raises(OutputError, match="is a file"):
        generate(run, N, tmp_path / "letter.txt", **OPTIONS)


def test_damaged_manifest_is_refused(run, whole, tmp_path):
    shutil.copytree(whole.parent, tmp_path / "set")
    (tmp_path / "set" / "manifest.json").write_text('{"format": ')
    with pytest.raises(OutputError, match=r"manifest\.json cannot be read"):
        generate(run, N, tmp_path / "set", **OPTIONS)


def test_two_processes_on_one_part_are_refused(run, tmp_path):
    first = generate(run, N, tmp_path / "set", part=(0, 2), **OPTIONS)
    assert first is None
    job = plan(
        run,
        N,
        file_format="npy",
        classes="balanced",
        seed=0,
        device=torch.device("cpu"),
        precision="fp32",
        png_level=1,
        shard_size=64,
    )
    holding = SetFolder(tmp_path / "set", job, (1, 2)).writing()
    with holding, pytest.raises(OutputError, match="another process is writing part 1-of-2"):
        generate(run, N, tmp_path / "set", part=(1, 2), **OPTIONS)
    assert generate(run, N, tmp_path / "set", part=(1, 2), **OPTIONS)


def test_remains_of_a_killed_process_are_dropped(run, whole, tmp_path):
    generate(run, N, tmp_path / "set", part=(0, 2), **OPTIONS)
    remains = tmp_path / "set" / ".fastgan" / "staging-1-of-3"
    remains.mkdir()
    (remains / "images-000001.npy").write_bytes(b"half")
    seen = []
    generate(run, N, tmp_path / "set", part=(1, 2), progress=lambda *_: seen.append(remains.exists()), **OPTIONS)
    assert seen and not any(seen)
    assert contents(tmp_path / "set") == contents(whole.parent)


def test_remains_beside_a_finished_set_are_tidied(run, whole, tmp_path):
    shutil.copytree(whole.parent, tmp_path / "set")
    (tmp_path / "set" / ".fastgan" / "journal").mkdir(parents=True)
    assert generate(run, N, tmp_path / "set", **OPTIONS)
    assert not (tmp_path / "set" / ".fastgan").exists()
    assert contents(tmp_path / "set") == contents(whole.parent)


def test_default_folder_lies_in_the_run(new_run, tmp_path):
    run = new_run(tmp_path / "run")
    assert generate(run, 10, seed=7, device="cpu") == run.path / "generated" / "10-seed7" / "manifest.json"
    assert generate(run, 10, device="cpu", format="npy").parent.name == "10-seed0-npy"


def test_run_without_checkpoint(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    with pytest.raises(RunError, match="no checkpoint"):
        generate(Run.open(tmp_path / "run"), 10, tmp_path / "set")
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"n": 0}, "n must be a whole number from 1"),
        ({"seed": -1}, "seed must be a whole number from 0"),
        ({"seed": 2**64}, "seed must be"),
        ({"part": (2, 2)}, "part must be i/n with 0 <= i < n, got 2/2"),
        ({"format": "zip"}, "format must be one of imagefolder, webdataset, npy, got 'zip'"),
        ({"png_level": 10}, "png_level must be"),
        ({"shard_size": 100}, "shard_size must be a multiple of 64, got 100"),
        ({"precision": "fp8"}, "precision must be one of"),
        ({"device": "tpu"}, "device must be one of"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_wrong_arguments(run, tmp_path, change, sentence):
    arguments = {"n": N, **OPTIONS, **change}
    with pytest.raises(ValueError, match=sentence):
        generate(run, arguments.pop("n"), tmp_path / "set", **arguments)
    assert not (tmp_path / "set").exists()
