"""The rooms of the package and who may import whom; and that the core needs torch and numpy alone."""

import ast
from pathlib import Path

import pytest
from support.processes import run_python

ROOT = Path(__file__).resolve().parents[1]

# Imports run downwards: a room imports only rooms of a lower rank, its own, and those named in SIDEWAYS.
RANKS = {
    "__main__": 11,
    "cli": 10,
    "bench": 9,
    "tasks": 8,
    "train": 7,
    "synth": 7,
    "run": 6,
    "frozen": 6,
    "models": 5,
    "data": 5,
    "metrics": 5,
    "fusion": 5,
    "nn": 4,
    "losses": 4,
    "penalties": 3,
    "functional": 3,
    "chain": 3,
    "ops": 2,
    "build_info": 3,
    "tuning": 6,
    "backends": 1,
    "tuned": 1,
    "kernels": 1,
    "reference": 1,
    "native": 1,
    "cuda_code": 0,
    "device": 0,
    "errors": 0,
    "files": 0,
    "machine": 0,
    "noise": 0,
    "progress": 0,
    "_version": 0,
    "_C": 0,
}
SIDEWAYS = {
    ("metrics", "models"),
    ("metrics", "data"),
    ("backends", "native"),
    ("backends", "tuned"),
    ("machine", "_version"),
    ("noise", "_C"),
    ("device", "errors"),
    ("files", "errors"),
    ("functional", "chain"),
}
# The front door: re-exports of the rooms below, and the console script's entry.
FRONT = {"__init__"}

CORE = {
    "chain",
    "fusion",
    "models",
    "nn",
    "functional",
    "losses",
    "ops",
    "backends",
    "tuned",
    "machine",
    "native",
    "kernels",
    "reference",
    "noise",
}
CORE_MAY_IMPORT = {"torch", "numpy", "triton"}


def source_files() -> dict[Path, str]:
    """Every Python file of the package with its dotted name."""
    files = {}
    for folder, prefix in (
        ("fastgan", "fastgan"),
        ("kernels", "fastgan.kernels"),
        ("bench", "fastgan.bench"),
    ):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            files[path] = ".".join((prefix, *parts))
    return files


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imported_modules(tree: ast.AST, module: str, is_package: bool) -> list[tuple[int, str]]:
    """(line, dotted name) of every import, also inside functions and by importlib with a literal name."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = module.split(".") if is_package else module.split(".")[:-1]
                base = ".".join([*here[: len(here) - node.level + 1], *([node.module] if node.module else [])])
            names = [f"{base}.{alias.name}" for alias in node.names] if base == "fastgan" else [base]
            found += [(node.lineno, name) for name in names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") and node.args:
            name = node.args[0]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                found.append((node.lineno, name.value))
    return found


def edges() -> list[tuple[str, str, str]]:
    """(place, room, imported module) over the whole package."""
    found = []
    for path, name in source_files().items():
        is_package = path.name == "__init__.py"
        module = name.removesuffix(".__init__")
        for line, imported in imported_modules(ast.parse(path.read_text()), module, is_package):
            found.append((f"{path.relative_to(ROOT)}:{line}", room_of(module), imported))
    return found


def complaint(room: str, imported: str) -> str | None:
    """What is wrong with `room` importing `imported` (a module of fastgan), None if nothing is."""
    target = room_of(imported)
    if room in FRONT or room == target:
        return None
    for each in (room, target):
        if each not in RANKS and each not in FRONT:
            return f"{each} has no rank: name it in RANKS"
    if target in FRONT:
        return "import the module itself, not the package's front"
    if RANKS[target] < RANKS[room] or (room, target) in SIDEWAYS:
        return None
    return f"{room} (rank {RANKS[room]}) must not import {target} (rank {RANKS[target]})"


def test_imports_run_downwards():
    wrong = []
    for place, room, imported in edges():
        if imported.split(".")[0] == "fastgan" and (said := complaint(room, imported)):
            wrong.append(f"{place}: {said}")
        if imported.split(".")[0] in ("kernels", "bench", "tests", "torchvision"):
            wrong.append(f"{place}: imports {imported}")
    assert not wrong, "\n".join(wrong)


def test_the_core_imports_torch_and_numpy_alone():
    import sys

    allowed = CORE_MAY_IMPORT | sys.stdlib_module_names | {"fastgan"}
    wrong = [
        f"{place}: imports {imported}"
        for place, room, imported in edges()
        if room in CORE and imported.split(".")[0] not in allowed
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("source", "room", "bad"),
    [
        ("from fastgan.train import loop", "nn", True),
        ("def f():\n    from fastgan import cli", "data", True),
        ("import fastgan.synth.writers", "train", True),
        ("import importlib\nimportlib.import_module('fastgan.cli')", "ops", True),
        ("from fastgan.models import generator", "data", True),
        ("from ..cli import app", "nn", True),
        ("from fastgan.data import imageset", "metrics", False),
        ("from fastgan.nn import blocks", "models", False),
    ],
)
def test_this_test_sees_an_arrow_up(source, room, bad):
    module = f"fastgan.{room}.file"
    found = imported_modules(ast.parse(source), module, is_package=False)
    said = [complaint(room, name) for _, name in found if name.split(".")[0] == "fastgan"]
    assert any(said) is bad


# What torch and numpy load by themselves is theirs to load; everything else but fastgan hits the wall.
BLOCKED = """
import sys
import numpy, torch, torch._dynamo

own = {name.partition(".")[0] for name in sys.modules}

class Wall:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in own and top != "fastgan" and top not in sys.stdlib_module_names:
            raise ModuleNotFoundError(f"blocked: {name}", name=name)

sys.meta_path.insert(0, Wall())
for blocked in ("PIL", "rich", "typer", "safetensors", "sklearn", "scipy", "triton"):
    if blocked in own:
        continue
    try:
        __import__(blocked)
    except ModuleNotFoundError:
        continue
    raise AssertionError(f"{blocked} is not blocked")
"""


def test_the_core_works_with_everything_else_blocked():
    code = BLOCKED + "import fastgan, fastgan.losses, fastgan.nn, fastgan.models, fastgan.noise\n"
    code += "print(fastgan.losses.hinge_d_loss(torch.zeros(3), torch.zeros(3)).item())\n"
    assert float(run_python(code)) == 2.0
