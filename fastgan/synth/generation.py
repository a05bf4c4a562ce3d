"""Writing a generated set: blocks computed side by side, shards committed one after the other."""

import errno
import functools
import hashlib
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fastgan.device import PRECISIONS, resolve_device
from fastgan.errors import OutputError
from fastgan.progress import Progress, silent
from fastgan.run import Run
from fastgan.synth.blocks import BLOCK, BlockSource, load_generator
from fastgan.synth.classes import BALANCED
from fastgan.synth.job import SHARD_SIZE, Job, plan
from fastgan.synth.store import SetFolder
from fastgan.synth.writers import Shard

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_WAITING_BYTES = 1 << 26  # pixels that may wait for their turn while a shard is being committed


@dataclass(frozen=True)
class Outcome:
    """What one call has done.

    Attributes:
        out: the folder of the set.
        manifest: its manifest, or None while shards are missing.
        total: images this part is responsible for.
        written: images written by this call.
        kept: images of this part that were there already.
        missing_shards: shards of the whole set that are still missing, whoever has to write them.
        stopped: `should_stop` ended the call early.
        seconds: duration of the call.
    """

    out: Path
    manifest: Path | None
    total: int
    written: int
    kept: int
    missing_shards: int
    stopped: bool
    seconds: float


def default_out(run: Run, n: int, seed: int, file_format: str) -> Path:
    """Where a set goes if nobody says: `RUN/generated/<n>-seed<seed>`, other formats add theirs."""
    suffix = "" if file_format == "imagefolder" else f"-{file_format}"
    return run.path / "generated" / f"{n}-seed{seed}{suffix}"


def generate(run: str | Path | Run, n: int, out: str | Path | None = None, **options: Any) -> Path | None:
    """Write `n` images of a run as a set of files; the Python twin of `fastgan generate`.

    Args:
        run, n, out, options: as in `produce`.

    Returns:
        The path of manifest.json, or None when shards of other parts are missing or `should_stop` ended it.
    """
    return produce(run, n, out, **options).manifest


def produce(
    run: str | Path | Run,
    n: int,
    out: str | Path | None = None,
    *,
    format: str = "imagefolder",
    classes: str | Sequence[str | int] = BALANCED,
    seed: int = 0,
    part: tuple[int, int] = (0, 1),
    device: str = "auto",
    precision: str = "fp32",
    png_level: int = 1,
    shard_size: int = SHARD_SIZE,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Outcome:
    """Write images 0 .. n - 1 of a run, or one part of them, and say what was done.

    Image i is a function of the run's weights, `seed` and i alone on one machine: not of `n`, `part`, the
    number of threads or of processes. The set is cut into shards of `shard_size` images; a shard is
    written whole or not at all, so the process may be killed at any moment and called again with the same
    arguments to go on; shards of this part whose files have gone are then written again. Parts may run at the
    same moment in different processes; whichever finds all shards done writes manifest.json. docs/formats.md
    describes the files.

    While it runs, torch computes with one thread per block of 64 images and as many blocks side by side
    as torch had threads when it was called.

    Args:
        run: a run folder, or a `Run`.
        n: images in the whole set, 1 to 10^9.
        out: folder of the set, new, empty or holding the same job; `default_out` if None.
        format: "imagefolder", "webdataset" or "npy".
        classes: "balanced", or class names or indices; image i has class `classes[i % len(classes)]`.
        seed: in [0, 2^64).
        part: (i, of) with 0 <= i < of: write shards i, i + of, i + 2*of, ...
        device: "auto", "cpu" or "cuda".
        precision: "fp32", "bf16" or "fp16".
        png_level: zlib level of PNG files, 0 (fast, large) to 9 (slow, small).
        shard_size: images per shard, a multiple of 64.
        progress: called after every block with (images done of this part, images of this part, speed).
        should_stop: asked between blocks; when true, the shard at hand is dropped and the call returns.

    Raises:
        OutputError: the folder cannot be used, holds the finished set without all of its files, or the disk
            refused (nothing that was committed is lost).
        RunError, DataError, ValueError: the run, the classes or another argument cannot be used.
    """
    started = time.monotonic()
    run = run if isinstance(run, Run) else Run.open(run)
    where = resolve_device(device)
    if precision not in PRECISIONS:
        raise ValueError(f"generate: precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    index, of = part
    if not 0 <= index < of:
        raise ValueError(f"generate: part must be i/n with 0 <= i < n, got {index}/{of}")
    job = plan(
        run,
        n,
        file_format=format,
        classes=classes,
        seed=seed,
        device=where,
        precision=precision,
        png_level=png_level,
        shard_size=shard_size,
    )
    folder = SetFolder(Path(out) if out is not None else default_out(run, n, seed, format), job, part)
    mine = job.shards()[index::of]
    total = sum(shard.count for shard in mine)
    meter = _Meter(progress or silent, total)
    try:
        if folder.begin():
            return Outcome(folder.out, folder.manifest, total, 0, total, 0, False, time.monotonic() - started)
        with folder.writing():
            journal = folder.done()
            done = {shard.index for shard in mine if shard.index in journal and not folder.lost(shard)}
            meter.kept = sum(shard.count for shard in mine if shard.index in done)
            todo = [shard for shard in mine if shard.index not in done]
            stopped = _write_shards(run, job, folder, todo, where, meter, should_stop or (lambda: False))
            missing = folder.finish()
    except OSError as error:
        raise _refusal(error, folder.out, meter) from None
    manifest = None if missing else folder.manifest
    seconds = time.monotonic() - started
    return Outcome(folder.out, manifest, total, meter.committed, meter.kept, missing, stopped, seconds)


def _write_shards(
    run: Run,
    job: Job,
    folder: SetFolder,
    todo: list[Shard],
    device: torch.device,
    meter: "_Meter",
    should_stop: Callable[[], bool],
) -> bool:
    """Write and commit shards in order; True if it was stopped before the last."""
    if not todo:
        return False
    generator = load_generator(run, device, job.weights_sha256)
    source = BlockSource(generator, job.seed, job.label_cycle, device, job.precision)
    threads = torch.get_num_threads()
    # set_num_threads in a worker also changes what threads born later get: put back at the end
    pool = ThreadPoolExecutor(threads, "fastgan-generate", initializer=torch.set_num_threads, initargs=(1,))
    blocks = _in_order(pool, _ahead(job, threads), _tasks(source, folder, todo))
    meter.start()
    try:
        for shard in todo:
            digest = hashlib.sha256()
            count = -(-shard.count // BLOCK)
            file_sha256 = folder.writer.assemble(
                folder.staging, shard, _watched(itertools.islice(blocks, count), digest, meter, should_stop)
            )
            folder.commit(shard, digest.hexdigest(), file_sha256)
            meter.commit(shard.count)
    except _Stopped:
        return True
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(threads)
    return False


def _ahead(job: Job, threads: int) -> int:
    """Blocks in flight: two a thread, and up to a usual shard of them, which keeps threads busy during a commit."""
    height, width = job.image["size"]
    waiting = _WAITING_BYTES // (BLOCK * height * width * job.image["channels"])
    return max(2 * threads, min(waiting, SHARD_SIZE // BLOCK))


class _Stopped(Exception):
    """`should_stop` said so."""


def _tasks(source: BlockSource, folder: SetFolder, shards: list[Shard]) -> Iterator[Callable[[], Any]]:
    """One call a block, for all blocks of the shards in order; it returns (pixels, encoded)."""

    def compute(index: int, count: int) -> tuple[np.ndarray, Any]:
        block = source(index).head(count)
        return block.images, folder.writer.encode(block)

    for shard in shards:
        for first in range(shard.first, shard.first + shard.count, BLOCK):
            count = min(BLOCK, shard.first + shard.count - first)
            yield functools.partial(compute, first // BLOCK, count)


def _in_order(pool: ThreadPoolExecutor, ahead: int, tasks: Iterator[Callable[[], Any]]) -> Iterator[Any]:
    """The tasks' results in the order of the tasks, at most `ahead` of them begun and not yet handed out."""
    window = deque(pool.submit(task) for task in itertools.islice(tasks, ahead))
    while window:
        result = window.popleft().result()
        window.extend(pool.submit(task) for task in itertools.islice(tasks, 1))
        yield result


def _watched(
    blocks: Iterator[tuple[np.ndarray, Any]], digest: Any, meter: "_Meter", should_stop: Callable[[], bool]
) -> Iterator[Any]:
    """Hand on the encoded blocks while hashing their pixels, counting them and listening for a stop."""
    for images, encoded in blocks:
        if should_stop():
            raise _Stopped
        digest.update(images)
        yield encoded
        meter.add(len(images))


class _Meter:
    """Counts images and reports them with the speed of this call."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress = progress
        self.total = total
        self.kept = 0
        self.committed = 0
        self._made = 0
        self._started = time.monotonic()

    def start(self) -> None:
        self._started = time.monotonic()

    def add(self, count: int) -> None:
        self._made += count
        speed = self._made / max(time.monotonic() - self._started, 1e-9)
        self.progress(self.kept + self._made, self.total, f"{speed:.0f} img/s")

    def commit(self, count: int) -> None:
        self.committed += count


def _refusal(error: OSError, out: Path, meter: _Meter) -> OutputError:
    have = meter.kept + meter.committed
    if error.errno in _DISK_FULL:
        return OutputError(
            f"the disk is full: {have} of {meter.total} images are in {out} and stay; "
            "make room and run the same command again"
        )
    return OutputError(f"{out} cannot be written: {error.strerror or error}; {have} images are there and stay")
