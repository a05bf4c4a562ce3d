"""`python -m fastgan.bench`: time what is implemented against stock torch; `--json` for records."""

import argparse
import json
import sys

import torch
from fastgan.bench import gan_loss, models
from fastgan.bench.measure import machine

from fastgan import native


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fastgan.bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print records instead of a table")
    parser.add_argument("--rounds", type=int, default=15, help="turns that each candidate takes (default 15)")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default 1)")
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.threads < 1:
        parser.error("--rounds and --threads must be at least 1")
    if reason := native.ops_missing():
        sys.stderr.write(f"fastgan.bench: nothing to compare, {reason}; to get it: {native.HOW_TO_BUILD}\n")
        return 1
    torch.set_num_threads(arguments.threads)
    records = [*gan_loss.run(arguments.rounds), *models.run(arguments.rounds)]
    report = {"machine": machine(), "records": records}
    sys.stdout.write((json.dumps(report, indent=1) if arguments.json else _table(report)) + "\n")
    return 0


def _table(report: dict) -> str:
    conditions = ", ".join(f"{name} {value}" for name, value in report["machine"].items())
    head = (
        f"{'what':<15}{'pass':<8}{'family':<16}{'batch':>7}{'eager ms':>11}{'ours ms':>11}{'speedup':>9}{'error':>10}"
    )
    lines = [conditions, head]
    for r in report["records"]:
        eager, ours = (ms["p50"] for ms in r["ms"].values())
        numbers = f"{r['shape'][0]:>7}{eager:>11.4f}{ours:>11.4f}{r['speedup']:>9.2f}{r['max_rel_err']:>10.1e}"
        lines.append(f"{r['op']:<15}{r['pass']:<8}{r['family']:<16}{numbers}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
