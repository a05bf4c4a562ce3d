"""`python -m tests.gpu_day`: runs the stages, and after each writes results.json and the page whole again."""

import argparse
import dataclasses
import json
import platform
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from . import page, stages

FORMAT = "gpu-day/1"
RESULTS, PAGE = "results.json", "report.html"
LABEL = "DRY RUN: the CPU stood in for a GPU. Not one number here is a measurement."


def main() -> int:
    parser = argparse.ArgumentParser(description="Check and time everything that waits for a GPU.")
    parser.add_argument("part", choices=stages.ALL)
    parser.add_argument("--out", type=Path, default=Path("gpu-day"), help="folder of results.json and the page")
    parser.add_argument("--dry-run", action="store_true", help="try all this on the CPU, at tiny sizes")
    options = parser.parse_args()
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    day = stages.Day(out, options.dry_run)
    result = begun(out / RESULTS, options.dry_run)
    if options.dry_run:
        say(LABEL)
    states = []
    for stage in stages.ALL[options.part](day):
        result["stages"][stage.name] = dataclasses.asdict(stage)
        states.append(stage.state)
        say(f"{stage.state:<9} {stage.title} ({stage.seconds:.0f} s): {stage.said}")
        (out / RESULTS).write_text(json.dumps(result, indent=1) + "\n")
        (out / PAGE).write_text(page.page(result))
        if stage.name == "device" and stage.state == stages.FAILED:
            break
    say(f"\n{out / PAGE}")
    return int(stages.FAILED in states)


def begun(path: Path, dry: bool) -> dict[str, Any]:
    """What an earlier part of the same day wrote, else a new beginning: nothing is mixed with a dry run's stages."""
    new = {
        "format": FORMAT,
        "dry_run": dry,
        "label": LABEL if dry else None,
        "begun": datetime.now().astimezone().isoformat(timespec="seconds"),
        "host": platform.node(),
        "stages": {},
    }
    try:
        old = json.loads(path.read_text())
    except (OSError, ValueError):
        return new
    same = all(old.get(key) == new[key] for key in ("format", "dry_run", "host"))
    return old if same else new


def say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
