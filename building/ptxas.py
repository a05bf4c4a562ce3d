"""The log of ptxas as a table: registers, spills, stack and shared memory by kernel and architecture.

    python -m building.ptxas build/ptxas.log [WORDS]

prints it, rows whose kernel has every word; `--budgets` prints it as entries of tests/building/kernel_budgets.json.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

_KERNEL = re.compile(r"Compiling entry function '(\w+)' for '(sm_\w+)'")
_STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers")
_SHARED = re.compile(r"(\d+) bytes smem")


class Usage(NamedTuple):
    """What one kernel needs on one architecture; bytes, but for registers (of a thread)."""

    kernel: str
    arch: str
    registers: int
    stack: int
    spills: int
    shared: int


def usages(log: str) -> list[Usage]:
    """Every kernel of the log, by its symbol and in its order; ValueError where the log breaks off inside one."""
    starts = list(_KERNEL.finditer(log))
    ends = [start.start() for start in starts[1:]] + [len(log)]
    return [_usage(*start.groups(), log[start.end() : end]) for start, end in zip(starts, ends, strict=True)]


def _usage(symbol: str, arch: str, said: str) -> Usage:
    stack, used, shared = _STACK.search(said), _USED.search(said), _SHARED.search(said)
    if stack is None or used is None:
        raise ValueError(f"ptxas log: nothing about registers or stack of {symbol} for {arch}")
    frame, stores, loads = map(int, stack.groups())
    return Usage(symbol, arch, int(used.group(1)), frame, stores + loads, int(shared.group(1)) if shared else 0)


def rows(log: str) -> list[Usage]:
    """Every kernel of the log, by its name as `demangled` has it, and architecture."""
    found = usages(log)
    names = demangled(each.kernel for each in found)
    return sorted((each._replace(kernel=name) for each, name in zip(found, names, strict=True)), key=_order)


def _order(row: Usage) -> tuple[str, int, str]:
    return row.kernel, int(re.sub(r"\D", "", row.arch)), row.arch


def demangled(names: Iterable[str]) -> list[str]:
    """Kernels as C++ writes them, without namespaces, parameters and `void`; as they are where there is no c++filt."""
    names = list(names)
    try:
        done = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True)
    except OSError:
        return names
    return [_short(name) for name in done.stdout.splitlines()] if done.returncode == 0 else names


def _short(name: str) -> str:
    name = name.removeprefix("void ").replace("(anonymous namespace)::", "").replace("fastgan::", "")
    return name.partition("(")[0].replace("cuda::", "")


def stem(kernel: str) -> str:
    """A kernel's name without template arguments."""
    return kernel.partition("<")[0]


def table(found: Iterable[Usage]) -> str:
    """A line a row, under a line of heads."""
    cells = [("kernel", "arch", "registers", "stack", "spills", "shared")]
    cells += [tuple(map(str, row)) for row in found]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in cells)


def budgets(found: Iterable[Usage]) -> dict[str, int]:
    """The registers that each kernel needs at most, over its template arguments and architectures."""
    most: dict[str, int] = {}
    for row in found:
        most[stem(row.kernel)] = max(most.get(stem(row.kernel), 0), row.registers)
    return most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("log", type=Path, nargs="?", default=Path("build/ptxas.log"))
    parser.add_argument("words", nargs="*")
    parser.add_argument("--budgets", action="store_true", help="print entries of the budget file")
    options = parser.parse_args()
    found = [row for row in rows(options.log.read_text()) if all(word in row.kernel for word in options.words)]
    text = json.dumps(budgets(found), indent=1) if options.budgets else table(found)
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
