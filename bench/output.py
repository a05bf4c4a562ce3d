"""The files of a result: results.json, a page, and its pictures."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from fastgan.files import write_bytes, write_json

RESULTS, PAGE = "results.json", "report.html"
FOLDER = "bench-results"


def default_out(suite: str, now: datetime | None = None) -> Path:
    """`bench-results/<suite>-<time>` below the current folder."""
    return Path(FOLDER) / f"{suite}-{now or datetime.now():%Y%m%d-%H%M%S}"


def write_result(result: dict[str, Any], out: str | Path) -> list[Path]:
    """Write everything that shows `result` into the folder `out`; the files, the page first.

    Without matplotlib and jinja2 (`pip install fastgan[bench]`) results.json is all.
    """
    out = Path(out)
    results = out / RESULTS
    write_json(results, result)
    try:
        from fastgan.bench.page import page
        from fastgan.bench.pictures import pictures
    except ModuleNotFoundError:
        return [results]
    drawn = pictures(result)
    for name, png in drawn.items():
        write_bytes(out / name, png)
    write_bytes(out / PAGE, page(result).encode())
    return [out / PAGE, results, *(out / name for name in drawn)]


def read_result(path: str | Path, form: str) -> dict[str, Any]:
    """A result from its JSON file. ValueError in one sentence for any other file; OSError where there is none."""
    try:
        result = json.loads(Path(path).read_text())
        if result["format"] == form and isinstance(result["records"], list):
            return result
        said = f"its format is {result['format']!r}"
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError, KeyError):
        said = "it is something else"
    raise ValueError(f"{path} is not a result of fastgan bench ({form}): {said}")
