"""Builds the package; what of the native part, and how, is in building/ (docs/building.md)."""

import sys
from pathlib import Path

from setuptools import find_packages, setup

sys.path.insert(0, str(Path(__file__).resolve().parent))  # what builds a project need not have its folder on the path

from building.commands import BuildNative, BuildPython, extensions  # noqa: E402
from building.objects import log  # noqa: E402
from building.plan import make_plan  # noqa: E402

PACKAGES = [
    *find_packages(include=["fastgan", "fastgan.*"]),
    "fastgan.kernels",
    *("fastgan." + name for name in find_packages(include=["bench", "bench.*"])),
]

plan = make_plan()
for part, reason in plan.reasons.items():
    log(f"fastgan: the {part} part will not be built: {reason}")

setup(
    packages=PACKAGES,
    package_dir={"fastgan": "fastgan", "fastgan.kernels": "kernels", "fastgan.bench": "bench"},
    ext_modules=extensions(plan),
    cmdclass={"build_py": BuildPython, "build_ext": BuildNative},
)
