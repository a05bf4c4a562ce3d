"""Compiles a source file, unless the object of the last time would come out again.

An object is kept under its command's hash, next to the hashes of the files it was made from: the source and every
header that the compiler named (-MMD). Contents are compared, not times, so that a checkout rebuilds what it changed.
"""

import functools
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """One object: `command` without -c and -o; `tools` names versions that the files do not tell.

    `extra` are arguments that change how long it takes and not what comes out.
    """

    source: str
    command: tuple[str, ...]
    tools: str
    extra: tuple[str, ...] = ()


@dataclass(frozen=True)
class Object:
    """What came out; `said` is what the compiler said when it was compiled, also where that was another time."""

    path: Path
    said: str
    reused: bool


class Objects:
    """The objects in `folder`; sources and commands are relative to `root`."""

    def __init__(self, folder: Path, root: Path, log: Callable[[str], None]):
        self._folder, self._root, self._log = folder, root, log
        self._hash = functools.cache(self._hash_of)
        folder.mkdir(parents=True, exist_ok=True)

    def make(self, job: Job) -> Object:
        """The object of a job; SystemExit with the compiler's words where it fails."""
        path = self._path(job)
        record = path.with_suffix(".json")
        if (said := self._kept(path, record)) is not None:
            return Object(path, said, True)
        record.unlink(missing_ok=True)
        depends = path.with_suffix(".d")
        flags = ["-MMD", "-MF", str(depends), "-c", job.source, "-o", str(path)]
        said = run([*job.command, *job.extra, *flags], self._root, self._log)
        files = {name: self._hash(name) for name in dependencies(depends.read_text())}
        unfinished = record.with_suffix(f".{os.getpid()}")
        unfinished.write_text(json.dumps({"files": files, "said": said}))
        unfinished.replace(record)  # last and whole: without a record an object counts for nothing
        return Object(path, said, False)

    def _path(self, job: Job) -> Path:
        key = hashlib.sha256(json.dumps([job.command, job.tools]).encode()).hexdigest()[:12]
        return self._folder / f"{job.source.replace('/', '_')}.{key}.o"

    def _kept(self, path: Path, record: Path) -> str | None:
        """What the compiler said if the object is there and would come out again, else None."""
        try:
            kept = json.loads(record.read_text())
            same = path.is_file() and all(self._hash(name) == hash_ for name, hash_ in kept["files"].items())
        except (OSError, ValueError, KeyError):
            return None
        return kept["said"] if same else None

    def _hash_of(self, name: str) -> str:
        return hashlib.sha256((self._root / name).read_bytes()).hexdigest()


def dependencies(text: str) -> list[str]:
    """The files in a compiler's rule `target: file file`; a space inside a name is written `\\ `."""
    names = re.split(r"(?<!\\)\s+", text.replace("\\\n", " ").partition(": ")[2].strip())
    return [name.replace("\\ ", " ") for name in names if name]


def run(command: list[str], root: Path, log: Callable[[str], None]) -> str:
    """What a compiler says that is run in `root`; SystemExit with its words where it fails."""
    log(shlex.join(command))
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    said = done.stdout + done.stderr
    if "warning" in said:
        log(said)
    if done.returncode != 0:
        way_out = "set FASTGAN_BUILD=none for a pure Python install, or FASTGAN_BUILD=cpu to leave CUDA out"
        raise SystemExit(f"{said}\n{command[0]} failed; {way_out}")
    return said


def log(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
