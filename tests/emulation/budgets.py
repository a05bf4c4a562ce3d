"""What kernels may need at most, kept in budgets.json, and the comparison with what they do need.

An entry is for one kernel in one case on one target; the second launch of a kernel is `kernel#2`. Keys of
`resources` and `launch` are upper limits, but for `tensor_cores`: whether the code must use them. Nothing may spill.
A limit above 1 in `conflict_factor` is an exception, and carries its reason under the same key in `reasons`.
`conflict_factor` leaves out the scratch memory of Triton's own reductions (tl.sum and its kin), which conflicts
once a tile and which no kernel lays out: cycles lost there are `reduction_conflicts`.

    PYTHONPATH=tests python -m tests.emulation.budgets [words]

prints what was found, to edit by hand; words of cases and targets choose.
"""

import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from .capture import capture, emulated
from .cases import CASES, EMULATED_TARGETS, Case
from .ptx import Counters
from .resources import SHARED_LIMITS, Resources, resources

FILE = Path(__file__).with_name("budgets.json")
FORMAT = 1
RESOURCES = ("registers", "spills", "shared", "tensor_cores")
LAUNCH = (
    "load_sectors_per_request",
    "store_sectors_per_request",
    "conflict_factor",
    "reduction_conflicts",
    "warp_instructions",
    "unique_bytes_loaded",
    "unique_bytes_stored",
)
_REDUCTIONS = "standard.py"  # of Triton's language


@dataclass(frozen=True)
class Budget:
    kernel: str
    configuration: str
    target: str
    resources: dict[str, int | bool]
    launch: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> tuple[str, str, str]:
        return self.kernel, self.configuration, self.target


@dataclass(frozen=True)
class Found:
    """One kernel of a case on one target; counters only where it was emulated."""

    kernel: str
    configuration: str
    target: str
    resources: Resources
    counters: Counters | None

    @property
    def name(self) -> tuple[str, str, str]:
        return self.kernel, self.configuration, self.target

    def numbers(self) -> dict[str, dict]:
        """As a budget has them."""
        code = self.resources
        needs = (code.registers, code.spills, code.shared, code.uses_tensor_cores)
        numbers = {"resources": dict(zip(RESOURCES, needs, strict=True))}
        if self.counters is not None:
            numbers["launch"] = {name: _launch_number(self.counters, name) for name in LAUNCH}
        return numbers


def _launch_number(counters: Counters, name: str) -> float:
    special = {
        "store_sectors_per_request": lambda: counters.stores.sectors_per_request,
        "conflict_factor": lambda: counters.conflict_factor_outside(_REDUCTIONS),
        "reduction_conflicts": lambda: counters.conflicts_in(_REDUCTIONS),
    }
    value = special[name]() if name in special else getattr(counters, name)
    return round(value, 3) if isinstance(value, float) else value


def load(path: Path = FILE) -> dict[tuple[str, str, str], Budget]:
    """Entries by kernel, configuration and target. ValueError where an entry is incomplete or lacks a reason."""
    content = json.loads(path.read_text())
    if content.get("format") != FORMAT:
        raise ValueError(f"{path.name}: format must be {FORMAT}, got {content.get('format')!r}")
    budgets: dict[tuple[str, str, str], Budget] = {}
    for entry in content["budgets"]:
        budget = Budget(**entry)
        if budget.name in budgets:
            raise ValueError(f"{path.name}: two entries for {_title(budget)}")
        if mistake := _mistake(budget):
            raise ValueError(f"{path.name}: {_title(budget)}: {mistake}")
        budgets[budget.name] = budget
    return budgets


def _mistake(budget: Budget) -> str | None:
    if set(budget.resources) != set(RESOURCES):
        return f"resources must be {', '.join(RESOURCES)}, got {', '.join(budget.resources)}"
    if unknown := set(budget.launch) - set(LAUNCH):
        return f"launch has unknown keys {', '.join(sorted(unknown))}"
    if budget.resources["spills"]:
        return "spills must be 0: another configuration or another order of things has none"
    if budget.launch.get("conflict_factor", 1) > 1 and not budget.reasons.get("conflict_factor", "").strip():
        return "conflict_factor is an exception and needs its reason in reasons"
    if without := set(budget.reasons) - {"conflict_factor"}:
        return f"reasons must be of conflict_factor, got {', '.join(sorted(without))}"
    return None


def check(found: Found, budget: Budget) -> list[str]:
    """One sentence for each violation."""
    sentences = []
    for section, numbers in found.numbers().items():
        limits = getattr(budget, section)
        for name, value in numbers.items():
            if name not in limits:
                continue
            limit = limits[name]
            if name == "tensor_cores":
                if limit and not value:
                    sentences.append(f"{_title(found)}: no tensor-core instruction, the budget requires some.")
            elif value > limit:
                sentences.append(f"{_title(found)}: {name} is {value}, the budget allows {limit}.")
    available = SHARED_LIMITS[found.target]
    if found.resources.shared > available:
        sentences.append(
            f"{_title(found)}: {found.resources.shared} bytes of shared memory, the device has {available}."
        )
    return sentences


def examine(case: Case, target: str) -> tuple[object, list[Found]]:
    """What the call gives, and every launch of it. Where nothing is emulated the result is not filled."""
    with case.within(target):
        if target in EMULATED_TARGETS:
            with emulated(target) as launches:
                result = case.call()
            done = [(one.launch.name, one.compiled, one.counters) for one in launches]
        else:
            with capture() as captured:
                result = case.call()
            done = [(one.name, one.compile(target), None) for one in captured]
    times: Counter[str] = Counter()
    found = []
    for kernel, compiled, counters in done:
        times[kernel] += 1
        name = kernel if times[kernel] == 1 else f"{kernel}#{times[kernel]}"
        found.append(Found(name, case.configuration, target, resources(compiled), counters))
    return result, found


def violations(found: list[Found], budgets: dict[tuple[str, str, str], Budget]) -> list[str]:
    """One sentence for each violation by the launches of a case, for each without a budget, and the other way round."""
    sentences = []
    for one in found:
        budget = budgets.get(one.name)
        sentences += [f"{_title(one)}: no budget."] if budget is None else check(one, budget)
    launched, of_case = {one.name for one in found}, {one.name[1:] for one in found}
    idle = [budget for name, budget in budgets.items() if name[1:] in of_case and name not in launched]
    return sentences + [f"{_title(budget)}: a budget for what is not launched." for budget in idle]


def _title(one: Budget | Found) -> str:
    return f"{one.kernel} ({one.configuration}, {one.target})"


def main(words: list[str]) -> None:
    chosen = [(case, target) for case in CASES for target in case.targets]
    chosen = [pair for pair in chosen if all(word in f"{pair[0].configuration} {pair[1]}" for word in words)]
    lines = []
    for case, target in chosen:
        for one in examine(case, target)[1]:
            names = {"kernel": one.kernel, "configuration": one.configuration, "target": one.target}
            lines.append(json.dumps({**names, **one.numbers()}))
    sys.stdout.write(f'{{"format": {FORMAT}, "budgets": [\n  ' + ",\n  ".join(lines) + "\n]}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
