"""A generation killed with SIGKILL, at random moments and at every rename, ends in the undisturbed set."""

import multiprocessing
import os
import random
import signal
import time

import pytest

from fastgan.synth import generate, verify

pytestmark = pytest.mark.slow
OPTIONS = {"shard_size": 64, "device": "cpu"}


@pytest.fixture(scope="module")
def context():
    """Processes forked from one that has imported the package already: they start in milliseconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fastgan.synth"])
    return context


def start(context, run, n, out, function=generate, **options):
    process = context.Process(target=function, args=(run.path, n, out), kwargs={**OPTIONS, **options})
    process.start()
    return process


def contents(folder) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def recorded(out) -> int:
    """Shards in the journal."""
    return len(list((out / ".fastgan" / "journal").glob("*.json")))


def staged(out) -> bool:
    """Whether the files of a shard are being written."""
    return any((out / ".fastgan").glob("staging-0-of-1/**/*.*"))


def test_killed_ten_times_at_random_moments(context, run, tmp_path):
    n = 64 * 40
    started = time.monotonic()
    undisturbed = generate(run, n, tmp_path / "whole", **OPTIONS)
    longest = (time.monotonic() - started) / 12
    out = tmp_path / "set"
    moments = random.Random(7)
    done, killed_at_work = [0], 0
    for kill in range(10):
        process = start(context, run, n, out)
        # The first two die wherever they are, most likely while starting; half of the others while they write.
        at_work = kill < 2
        while process.is_alive() and not at_work:
            at_work = recorded(out) > done[-1] and (kill % 2 == 0 or staged(out))
        if kill % 2 == 0 or kill < 2:
            time.sleep(moments.uniform(0.0, longest))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL, "it ended before it was killed: make n larger"
        assert not (out / "manifest.json").exists()
        killed_at_work += staged(out)
        done.append(recorded(out))
    assert done == sorted(done) and len(set(done)) >= 8  # it went on from where it was, not from the start
    assert killed_at_work >= 4
    process = start(context, run, n, out)
    process.join(120)
    assert process.exitcode == 0
    assert (out / "manifest.json").read_bytes() == undisturbed.read_bytes()
    assert contents(out) == contents(undisturbed.parent)
    assert verify(out).ok


def generate_and_die(run, n, out, at: int, **options) -> None:
    """Generate, but kill this process at the `at`-th rename."""
    rename, count = os.replace, 0

    def counted(*paths, **keywords):
        nonlocal count
        count += 1
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)
        rename(*paths, **keywords)

    os.replace = counted
    generate(run, n, out, **options)


def test_killed_at_every_rename(context, run, tmp_path):
    undisturbed = generate(run, 150, tmp_path / "whole", format="npy", **OPTIONS)
    for at in range(1, 100):
        out = tmp_path / f"set{at}"
        process = start(context, run, 150, out, generate_and_die, at=at, format="npy")
        process.join(60)
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        assert not verify(out).ok or (out / "manifest.json").exists()
        assert generate(run, 150, out, format="npy", **OPTIONS)
        assert contents(out) == contents(undisturbed.parent), at
    assert at == 10  # job, three shards and three records, labels, manifest: nine renames, nine deaths
