"""Checking what is on disk: a generated set down to its pixels, a run checkpoint by checkpoint."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from fastgan import files
from fastgan.errors import OutputError
from fastgan.progress import Progress, silent
from fastgan.run import Run
from fastgan.synth.blocks import BLOCK
from fastgan.synth.classes import class_folders, labels_of
from fastgan.synth.job import LARGEST_SET, SET_FORMAT, Job
from fastgan.synth.store import MANIFEST, STATE, read_record
from fastgan.synth.writers import WRITERS, Shard, Writer

_LARGEST_SHARD = 1 << 20  # images; nonsense beyond it would only eat memory


@dataclass
class Report:
    """What was looked at and what is wrong.

    Attributes:
        path: the folder.
        kind: "generated set" or "run".
        checked: images of a set that are whole, or checkpoints of a run.
        problems: one sentence for everything that is wrong, in the order it was found.
    """

    path: Path
    kind: str
    checked: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Nothing is wrong."""
        return not self.problems


def verify(path: str | Path, progress: Progress | None = None) -> Report:
    """Check a generated set or a run folder; the Python twin of `fastgan verify`.

    A set: the manifest is whole, every file is there and has its hash, the pixels and labels read back
    from the files are those that were generated, and nothing else lies in the folder. A run: config.json
    is readable and every checkpoint has the hashes that were recorded when it was written.

    Args:
        path: the folder.
        progress: called with (images or checkpoints done, total, "").

    Raises:
        OutputError: the folder is neither a set nor a run.
        RunError: config.json of a run cannot be read.
    """
    path = Path(path)
    progress = progress or silent
    if (path / MANIFEST).exists():
        return _verify_set(path, progress)
    if (path / STATE).is_dir():
        return _unfinished(path)
    if (path / "config.json").exists():
        return _verify_run(path, progress)
    what = "does not exist" if not path.exists() else f"has neither {MANIFEST} nor config.json"
    raise OutputError(f"{path} {what}; give the folder of a generated set or of a run")


def _unfinished(path: Path) -> Report:
    done = len(list((path / STATE / "journal").glob("*.json")))
    problem = f"the set is not finished: {done} shards are there; run its `fastgan generate` command again"
    return Report(path, "generated set", problems=[problem])


def _verify_run(path: Path, progress: Progress) -> Report:
    report = Report(path, "run")
    checkpoints = Run.open(path).checkpoints()
    if not checkpoints:
        report.problems.append("the run has no checkpoint")
    for done, checkpoint in enumerate(checkpoints, 1):
        if damage := checkpoint.damage():
            report.problems.append(f"checkpoint {checkpoint.path.name}: {damage}")
        else:
            report.checked += 1
        progress(done, len(checkpoints), "")
    return report


def _verify_set(path: Path, progress: Progress) -> Report:
    report = Report(path, "generated set")
    try:
        manifest = read_record(path / MANIFEST)
        job = _job_of(manifest)
        rows = _rows_of(manifest, job)
        whole = _whole_files_of(manifest)
    except (OutputError, ValueError) as error:
        report.problems.append(str(error))
        return report
    writer = job.writer()
    for row, shard in zip(rows, job.shards(), strict=True):
        problems = list(_shard_problems(path, writer, shard, row))
        report.problems += problems
        report.checked += 0 if problems else shard.count
        progress(shard.first + shard.count, job.n, "")
    if set(whole) != set(writer.set_files()):
        report.problems.append(f"{MANIFEST}: files must list {sorted(writer.set_files())}, got {sorted(whole)}")
    report.problems += _set_file_problems(path, writer, whole)
    report.problems += _strays(path, writer, job, whole)
    return report


def _job_of(manifest: dict[str, Any]) -> Job:
    """The job that a manifest records; ValueError where it is not whole. No path in it is believed."""
    if manifest.get("format") != SET_FORMAT:
        raise ValueError(f"{MANIFEST}: format is {manifest.get('format')!r}, this version reads {SET_FORMAT!r}")
    absent = [f.name for f in fields(Job) if f.name not in manifest]
    if absent:
        raise ValueError(f"{MANIFEST}: {absent[0]} is missing")
    job = Job(**{f.name: manifest[f.name] for f in fields(Job)})
    if job.file_format not in list(WRITERS):  # a list: the value may be unhashable
        raise ValueError(f"{MANIFEST}: file_format must be one of {', '.join(WRITERS)}, got {job.file_format!r}")
    try:
        height, width = job.image["size"]
        numbers = (job.n, job.shard_size, height, width, *job.label_cycle)
        sound = (
            all(type(number) is int for number in numbers)
            and min(job.n, job.shard_size, height, width) >= 1
            and job.n <= LARGEST_SET
            and job.shard_size <= _LARGEST_SHARD
            and job.image["channels"] in (1, 2, 3, 4)
            and job.block_size == BLOCK
            and job.class_folders == list(class_folders(job.classes))
            and all(0 <= label < len(job.classes) for label in job.label_cycle)
            and bool(job.label_cycle) == bool(job.classes)
        )
    except (TypeError, ValueError, KeyError, AttributeError):
        sound = False
    if not sound:
        raise ValueError(f"{MANIFEST}: image, classes or counts are not those of a generated set")
    return job


def _rows_of(manifest: dict[str, Any], job: Job) -> list[dict[str, Any]]:
    rows = manifest.get("shards")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{MANIFEST}: shards must be a list of objects")
    count = -(-job.n // job.shard_size)  # compared before the shards are listed: n may be nonsense
    if len(rows) != count:
        raise ValueError(f"{MANIFEST}: {job.n} images must be in {count} shards, got {len(rows)}")
    for row, shard in zip(rows, job.shards(), strict=True):
        if (row.get("first"), row.get("count")) != (shard.first, shard.count):
            raise ValueError(f"{MANIFEST}: shard {shard.index} must be {shard.count} images from {shard.first} on")
    return rows


def _whole_files_of(manifest: dict[str, Any]) -> dict[str, str]:
    try:
        return {str(row["path"]): row["sha256"] for row in manifest["files"]}
    except (KeyError, TypeError):
        raise ValueError(f"{MANIFEST}: files must be a list of objects with path and sha256") from None


def _shard_problems(root: Path, writer: Writer, shard: Shard, row: dict[str, Any]) -> Iterator[str]:
    """What is wrong with one shard: missing files, else unreadable or other pixels, else other bytes."""
    missing = [path for path in writer.paths(shard) if not (root / path).is_file()]
    if missing:
        yield from (f"{path} is missing" for path in missing)
        return
    where = writer.paths(shard)[0] if len(writer.paths(shard)) == 1 else f"images {shard.first} and following"
    digest = hashlib.sha256()
    expected = labels_of(writer.layout.cycle, shard.first, shard.count)
    try:
        for i, (image, label) in enumerate(writer.read(root, shard)):
            if label is not None and label != expected[i]:
                yield f"image {shard.first + i} is labelled {label}, not {expected[i]}"
            digest.update(image.tobytes())
    except (ValueError, OSError) as error:
        yield str(error)
        return
    if digest.hexdigest() != row.get("pixel_sha256"):
        yield f"{where}: the pixels are not those that were generated"
    elif writer.hash_files(root, shard) != row.get("file_sha256"):
        yield f"{where}: the pixels are right, but the files are not those that were written"


def _set_file_problems(root: Path, writer: Writer, whole: dict[str, str]) -> Iterator[str]:
    for path, data in writer.set_files().items():
        if not (root / path).is_file():
            yield f"{path} is missing"
        elif files.sha256_file(root / path) != whole.get(path):
            yield f"{path} is not the file that was written"
        elif hashlib.sha256(data).hexdigest() != whole[path]:
            yield f"{path} does not hold the labels of this set"


def _strays(root: Path, writer: Writer, job: Job, whole: dict[str, str]) -> Iterator[str]:
    known = {MANIFEST, *writer.set_files()}
    known.update(path for shard in job.shards() for path in writer.paths(shard))
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if not path.is_dir() and name not in known:
            yield f"{name} does not belong to the set"
