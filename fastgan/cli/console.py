"""Where the command line speaks: results on stdout, progress and notes on stderr."""

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from fastgan.progress import Progress as Report

_PLAIN_SECONDS = 5.0

stderr = Console(stderr=True, highlight=False)


def emit(human: str, payload: Any, as_json: bool) -> None:
    """Print a command's result on stdout: `payload` as one JSON document with `--json`, else the `human` text."""
    text = json.dumps(payload, indent=1, ensure_ascii=False) if as_json else human
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """Say something beside the result, on stderr."""
    stderr.print(text, markup=False, soft_wrap=True)


@contextlib.contextmanager
def progress_bar(description: str) -> Iterator[Report]:
    """A progress report drawn on stderr: a bar with the time left on a terminal, a line every few seconds elsewhere."""
    if stderr.is_terminal:
        with _bar(description) as report:
            yield report
    else:
        yield _lines(description)


@contextlib.contextmanager
def _bar(description: str) -> Iterator[Report]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
    )
    with Progress(*columns, console=stderr) as bar:
        task = bar.add_task(description, total=None, text="")

        def report(done: int, total: int, text: str = "") -> None:
            bar.update(task, completed=done, total=total or None, text=text)

        yield report


def _lines(description: str) -> Report:
    last = float("-inf")
    origin: tuple[int, float] | None = None  # what was done when this process began, and when
    finished = False

    def report(done: int, total: int, text: str = "") -> None:
        nonlocal last, origin, finished
        now = time.monotonic()
        if origin is None or done < origin[0]:  # the next stage counts from its own beginning
            origin, finished = (done, now), False
        ends = bool(total) and done >= total and not finished
        if now - last < _PLAIN_SECONDS and not ends:
            return
        last, finished = now, finished or ends
        standing = _standing(done, total, done - origin[0], now - origin[1])
        stderr.print(f"{description}: {standing}{text}", soft_wrap=True, markup=False)

    return report


def _standing(done: int, total: int, done_here: int, seconds: float) -> str:
    """How far and, from the speed of this process alone, how long still."""
    if not total:
        return ""
    share = f"{100 * done / total:.0f}% ({done:,}/{total:,})"
    return f"{share}, {seconds * (total - done) / done_here:.0f} s left  " if done_here > 0 else f"{share}  "
