"""The folder of a generated set while it is written: who may write, what is done, how a shard becomes final.

Everything that is not final lies in `OUT/.fastgan/`:

    job.json               written first: what the folder is for
    part-I-of-N.lock       held by the process that writes part I
    staging-I-of-N/        files of the shard that part I is writing
    journal/000000.json    a shard whose files are in place and on the disk

`manifest.json` is written last, from the journal, and then `.fastgan` goes.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from fastgan import files
from fastgan.errors import OutputError
from fastgan.synth.durable import sync_files
from fastgan.synth.job import Job, require_same
from fastgan.synth.writers import Shard
from fastgan.synth.writers.base import write_file

MANIFEST = "manifest.json"
STATE = ".fastgan"


class SetFolder:
    """One output folder, opened for one job and one part of it."""

    def __init__(self, out: Path, job: Job, part: tuple[int, int] = (0, 1)) -> None:
        self.out = out
        self.job = job
        self.writer = job.writer()
        self.state = out / STATE
        self._part = "{}-of-{}".format(*part)
        self.staging = self.state / f"staging-{self._part}"

    @property
    def manifest(self) -> Path:
        """Where the manifest is, or will be."""
        return self.out / MANIFEST

    def begin(self) -> bool:
        """Make the folder ours, or go on in it; True if the set is finished already.

        Raises:
            OutputError: the folder holds something else, another job, or a finished set that lost a file.
        """
        if self.out.exists() and not self.out.is_dir():
            raise OutputError(f"{self.out} is a file; choose another --out")
        if self.manifest.exists():
            require_same(self.job, read_record(self.manifest), str(self.out))
            self._require_files()
            shutil.rmtree(self.state, ignore_errors=True)  # left by a process killed while tidying up
            return True
        if not (self.state / "job.json").exists() and any(p.name != STATE for p in _entries(self.out)):
            raise OutputError(f"{self.out} is not empty and holds no generated set; choose another --out or empty it")
        self.state.mkdir(parents=True, exist_ok=True)
        with FileLock(self.state / "job.lock"):  # two parts may start at the same moment
            if not (self.state / "job.json").exists():
                files.write_json(self.state / "job.json", self.job.to_json())
        require_same(self.job, read_record(self.state / "job.json"), str(self.out))
        return False

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold this part: no other process writes it meanwhile; its staging area is new, and gone afterwards.

        Raises:
            OutputError: another process holds it.
        """
        lock = self._lock(self._part)
        try:
            lock.acquire()
        except Timeout:
            raise OutputError(
                f"another process is writing part {self._part} of {self.out}; wait for it, or give --part"
            ) from None
        try:
            self._drop_abandoned()
            yield
        finally:
            shutil.rmtree(self.staging, ignore_errors=True)
            lock.release()

    def lost(self, shard: Shard) -> list[str]:
        """The files of `shard` that are not there. Only their paths are looked at; `verify` reads them."""
        return [path for path in self.writer.paths(shard) if not (self.out / path).is_file()]

    def done(self) -> dict[int, dict[str, Any]]:
        """The journal: shard number -> record."""
        return {int(path.stem): read_record(path) for path in (self.state / "journal").glob("*.json")}

    def commit(self, shard: Shard, pixel_sha256: str, file_sha256: str) -> None:
        """Move the staged files of a shard to their place, then write it into the journal."""
        self._place(self.writer.paths(shard))
        record = {
            "first": shard.first,
            "count": shard.count,
            "pixel_sha256": pixel_sha256,
            "file_sha256": file_sha256,
        }
        files.write_json(self.state / "journal" / f"{shard.index:06d}.json", record)

    def finish(self) -> int:
        """If all shards are in the journal, write the manifest and tidy up; returns how many are missing.

        Any number of processes may call this at the same moment: they write the same bytes.
        """
        try:
            done = self.done()
            missing = sum(shard.index not in done for shard in self.job.shards())
            if not missing:
                self._write_manifest([done[shard.index] for shard in self.job.shards()])
        except (FileNotFoundError, OutputError):
            if not self.manifest.exists():  # else another process has finished the set under our hands
                raise
        if self.manifest.exists():
            shutil.rmtree(self.state, ignore_errors=True)
            return 0
        return missing

    def _require_files(self) -> None:
        lost = [path for path in self.writer.set_files() if not (self.out / path).is_file()]
        for shard in self.job.shards():
            lost += self.lost(shard)
        if lost:
            more = f" ({len(lost) - 1:,} more)" if len(lost) > 1 else ""
            raise OutputError(
                f"{self.out} is not whole: {lost[0]} is missing{more}; `fastgan verify {self.out}` names everything "
                f"that is wrong; remove {self.out} and run the same command again, or choose another --out"
            )

    def _write_manifest(self, records: list[dict[str, Any]]) -> None:
        set_files = self.writer.set_files()
        for path, data in set_files.items():
            write_file(self.staging / path, data)
        whole = [{"path": path, "sha256": files.sha256_file(self.staging / path)} for path in set_files]
        self._place(list(set_files))
        # job.json, not our own job: the versions in it are those of the process that began, whoever ends
        manifest = {**read_record(self.state / "job.json"), "files": whole, "shards": records}
        text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
        write_file(self.staging / MANIFEST, text.encode())
        self._place([MANIFEST])

    def _place(self, paths: list[str]) -> None:
        """Make staged files durable, rename them into the set, and make the renames durable."""
        sync_files(self.staging, paths)
        parents = {self.out / parent for parent in {os.path.dirname(path) for path in paths}}
        for parent in parents:
            parent.mkdir(parents=True, exist_ok=True)
        for path in paths:
            os.replace(f"{self.staging}/{path}", f"{self.out}/{path}")
        for parent in parents | ({self.out} if parents else set()):
            files.fsync_directory(parent)

    def _lock(self, part: str) -> FileLock:
        return FileLock(self.state / f"part-{part}.lock", timeout=0)

    def _drop_abandoned(self) -> None:
        """Free what killed processes have left behind: staging areas whose lock nobody holds."""
        for staging in self.state.glob("staging-*"):
            part = staging.name.removeprefix("staging-")
            if part == self._part:
                shutil.rmtree(staging)
                continue
            with contextlib.suppress(Timeout), self._lock(part):
                shutil.rmtree(staging, ignore_errors=True)
        self.staging.mkdir()


def read_record(path: Path) -> dict[str, Any]:
    """A JSON object from a file of the set.

    Raises:
        OutputError: the file is not readable as one.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutputError(f"{path} cannot be read ({error}); generate the set again into another folder") from None
    if not isinstance(value, dict):
        raise OutputError(f"{path} holds no JSON object; generate the set again into another folder")
    return value


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.exists() else []
