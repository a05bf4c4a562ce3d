"""Checkpoints on disk: whole or absent, two kept and the best, damage found."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
import torch

from fastgan.errors import RunError
from fastgan.run import write_checkpoint
from fastgan.run.checkpoint import PARTS, choose_whole, list_checkpoints


def tensors(value: float) -> dict:
    return {part: {"weight": torch.full((2, 3), value)} for part in PARTS}


def names(folder) -> list[str]:
    return [c.path.name for c in list_checkpoints(folder)]


def test_what_is_written_is_read(tmp_path):
    written = write_checkpoint(tmp_path, 7, tensors(1.5), {"trainer": {"step": 7}})
    chosen, warning = choose_whole(tmp_path)
    assert warning is None
    assert chosen == written
    assert chosen.state()["trainer"] == {"step": 7}
    for part in PARTS:
        assert torch.equal(chosen.tensors(part)["weight"], torch.full((2, 3), 1.5))


def test_two_newest_and_the_best_are_kept(tmp_path):
    for step in range(1, 6):
        write_checkpoint(tmp_path, step, tensors(step), {}, best=step == 2)
    assert names(tmp_path) == ["000005", "000004", "000002"]
    assert choose_whole(tmp_path, "best")[0].step == 2
    assert choose_whole(tmp_path, "latest")[0].step == 5


def test_order_is_by_number_beyond_six_digits(tmp_path):
    for step in (999_999, 1_000_000):
        write_checkpoint(tmp_path, step, tensors(step), {})
    assert choose_whole(tmp_path)[0].step == 1_000_000


@pytest.mark.parametrize("part", [f"{p}.safetensors" for p in PARTS] + ["state.json"])
@pytest.mark.parametrize("how", ["cut", "gone", "flipped"])
def test_the_older_one_is_used_when_the_newer_is_damaged(tmp_path, part, how):
    for step in (1, 2):
        write_checkpoint(tmp_path, step, tensors(step), {"trainer": {}})
    file = tmp_path / "000002" / part
    content = bytearray(file.read_bytes())
    if how == "gone":
        file.unlink()
    elif how == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif part == "state.json":
        file.write_bytes(content.replace(b"checkpoint/1", b"checkpoint/9"))
    else:
        content[-1] ^= 1
        file.write_bytes(content)
    chosen, warning = choose_whole(tmp_path)
    assert chosen.step == 1
    assert "000002 is damaged" in warning
    assert "using 000001" in warning


def test_no_whole_checkpoint_is_one_sentence(tmp_path):
    folder = tmp_path / "checkpoints"
    with pytest.raises(RunError, match="has no checkpoint yet"):
        choose_whole(folder)
    for step in (1, 2):
        write_checkpoint(folder, step, tensors(step), {})
        (folder / f"{step:06d}" / "ema.safetensors").write_bytes(b"x")
    with pytest.raises(RunError, match="no whole checkpoint is left") as caught:
        choose_whole(folder)
    assert "\n" not in str(caught.value)


def test_a_missing_part_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must have the parts"):
        write_checkpoint(tmp_path, 1, {"generator": {}}, {})
    assert names(tmp_path) == []


WRITER = textwrap.dedent(
    """
    import sys, torch
    from pathlib import Path
    from fastgan.run import write_checkpoint
    from fastgan.run.checkpoint import PARTS
    step = 0
    while True:
        step += 1
        parts = {p: {"weight": torch.full((200_000,), float(step))} for p in PARTS}
        write_checkpoint(Path(sys.argv[1]), step, parts, {"trainer": {"step": step}})
        print(step, flush=True)
    """
)


@pytest.mark.slow
def test_killed_writers_always_leave_a_whole_latest(tmp_path):
    for attempt in range(5):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ},
        )
        reported = [int(writer.stdout.readline()) for _ in range(3)]
        time.sleep(0.003 * (attempt + 1))
        writer.send_signal(signal.SIGKILL)
        reported += [int(line) for line in writer.stdout.read().split()]
        writer.wait()
        chosen, warning = choose_whole(tmp_path)
        assert warning is None, "latest named a damaged checkpoint"
        assert chosen.step >= reported[-1]
        assert float(chosen.tensors("ema")["weight"][0]) == chosen.step
