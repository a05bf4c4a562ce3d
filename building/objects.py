"""Compiles and links, unless what came out the last time would come out again.

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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


class BuildError(RuntimeError):
    """A command that failed, and what it said."""


@dataclass(frozen=True)
class Job:
    """One object: `command` without -c and -o; `tools` names versions that the files do not tell.

    `source` is relative to the repository, or absolute where it lies outside.
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
    """The objects in `folder`, for one build: a file is read once. Sources and commands are relative to `root`."""

    def __init__(self, folder: Path, root: Path, log: Callable[[str], None]):
        self._folder, self._root, self._log = folder, root, log
        self._hash = functools.cache(self._hash_of)
        folder.mkdir(parents=True, exist_ok=True)

    def make(self, job: Job) -> Object:
        """The object of a job; BuildError where it fails."""
        path = self._path(job)
        record, depends = path.with_suffix(".json"), path.with_suffix(".d")
        if (kept := self._kept(path, record)) is not None:
            return Object(path, kept["said"], True)
        record.unlink(missing_ok=True)
        flags = ["-MMD", "-MF", str(depends), "-c", job.source, "-o", str(path)]
        said = run([*job.command, *job.extra, *flags], self._root, self._log)
        self._keep(record, dependencies(depends.read_text()), said=said)
        return Object(path, said, False)

    def link(self, target: Path, command: Sequence[str], objects: Sequence[Object], libraries: Sequence[str]) -> bool:
        """Whether `target` had to be linked, of the objects and then the libraries; BuildError where that fails.

        It takes the place of the last one whole: a process may have that loaded.
        """
        paths = [str(made.path) for made in objects]
        complete = [*command, *paths, *libraries]
        record, whole = (target.with_name(f"{target.name}.{end}") for end in ("json", "new"))
        kept = self._kept(target, record)
        if kept is not None and kept["command"] == complete:
            return False
        run([*complete, "-o", str(whole)], self._root, self._log)
        record.unlink(missing_ok=True)
        whole.replace(target)
        self._keep(record, paths, command=complete)
        return True

    def _path(self, job: Job) -> Path:
        key = hashlib.sha256(json.dumps([job.command, job.tools]).encode()).hexdigest()[:12]
        return self._folder / f"{job.source.replace('/', '_')}.{key}.o"

    def _kept(self, path: Path, record: Path) -> dict | None:
        """The record of what is there if it would come out again, else None."""
        try:
            kept = json.loads(record.read_text())
            same = path.is_file() and all(self._hash(name) == hash_ for name, hash_ in kept["files"].items())
        except (OSError, ValueError, KeyError):
            return None
        return kept if same else None

    def _keep(self, record: Path, files: Sequence[str], **facts: object) -> None:
        unfinished = record.with_suffix(f".{os.getpid()}")
        unfinished.write_text(json.dumps({"files": {name: self._hash(name) for name in files}, **facts}))
        unfinished.replace(record)  # last and whole: without a record what came out counts for nothing

    def _hash_of(self, name: str) -> str:
        return hashlib.sha256((self._root / name).read_bytes()).hexdigest()


def dependencies(text: str) -> list[str]:
    """The files in a compiler's rule `target: file file`; a space inside a name is written `\\ `."""
    names = re.split(r"(?<!\\)\s+", text.replace("\\\n", " ").partition(": ")[2].strip())
    return [name.replace("\\ ", " ") for name in names if name]


def run(command: Sequence[str], root: Path, log: Callable[[str], None]) -> str:
    """What a compiler says that is run in `root`; BuildError where it fails."""
    log(shlex.join(command))
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    said = done.stdout + done.stderr
    if done.returncode != 0:
        raise BuildError(f"{shlex.join(command)} failed:\n{said}")
    if "warning" in said:
        log(said)
    return said


def log(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
