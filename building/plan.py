"""Decides what can be built on this machine, and why what is left out is left out.

Switches (docs/configuration.md): FASTGAN_BUILD=auto|none|cpu|cuda, FASTGAN_CUDA_ARCHS, CXX, CUDA_HOME.
"""

import functools
import os
import re
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from building.tools import Toolkit, find_compiler, find_cuda, find_torch, version_of

DEFAULT_CUDA_ARCHS = "80;86;89;90;100;120"


@dataclass(frozen=True)
class Plan:
    """What will be built with which tools. `reasons` says for each part left out why."""

    cxx: tuple[str, ...]
    torch: Path | None
    torch_version: str
    toolkit: Toolkit | None
    archs: tuple[str, ...]
    reasons: dict[str, str]

    @property
    def cpu(self) -> bool:
        return "cpu" not in self.reasons

    @property
    def cuda(self) -> bool:
        return "cuda" not in self.reasons

    @property
    def cuda_version(self) -> str:
        return self.toolkit.version if self.toolkit else ""

    @property
    def host(self) -> bool:
        return self.cpu and "host" not in self.reasons


@functools.cache
def make_plan() -> Plan:
    """What FASTGAN_BUILD asks for and this machine can give, decided once; SystemExit where it asks for more."""
    wanted = os.environ.get("FASTGAN_BUILD", "auto") or "auto"
    if wanted not in ("auto", "none", "cpu", "cuda"):
        raise SystemExit(f"FASTGAN_BUILD must be one of auto, none, cpu, cuda, got {wanted!r}")
    asked_archs = listed_archs(os.environ.get("FASTGAN_CUDA_ARCHS", ""))
    if wanted == "none":
        asked = "FASTGAN_BUILD=none asked for a pure Python install"
        return Plan((), None, "", None, (), {"cpu": asked, "cuda": asked})

    cxx, no_cxx = find_compiler()
    torch, torch_version, no_torch = find_torch()
    reasons = {}
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        reasons["host"] = "Python.h was not found (the development package of this Python has it)"
    if sys.platform != "linux":
        reasons["cpu"] = f"the native part is built on Linux only, not on {sys.platform}"
    elif no_cxx or no_torch:
        reasons["cpu"] = "; ".join(filter(None, (no_cxx, no_torch)))
    toolkit = None
    if "cpu" in reasons:
        reasons["cuda"] = reasons["cpu"]
    elif wanted == "cpu":
        reasons["cuda"] = "FASTGAN_BUILD=cpu asked for the CPU part alone"
    else:
        toolkit, no_cuda = find_cuda()
        if no_cuda:
            reasons["cuda"] = no_cuda
    archs = archs_of(toolkit, asked_archs) if toolkit else ()
    if toolkit and not archs:
        reasons["cuda"] = f"nvcc {toolkit.version} compiles for none of {DEFAULT_CUDA_ARCHS}"
    if wanted in reasons:
        raise SystemExit(f"FASTGAN_BUILD={wanted} cannot be satisfied: {reasons[wanted]}")
    return Plan(cxx, torch, torch_version, toolkit, archs, reasons)


def listed_archs(text: str) -> tuple[str, ...]:
    archs = tuple(filter(None, re.split(r"[;, ]+", text)))
    if bad := [a for a in archs if not re.fullmatch(r"\d{2,3}[af]?", a)]:
        raise SystemExit(f"FASTGAN_CUDA_ARCHS must list compute capabilities like 80;90, got {bad[0]!r}")
    return archs


def archs_of(toolkit: Toolkit, asked: tuple[str, ...]) -> tuple[str, ...]:
    """The architectures asked for, whatever nvcc will say; else those of DEFAULT_CUDA_ARCHS that it knows."""
    return asked or tuple(arch for arch in listed_archs(DEFAULT_CUDA_ARCHS) if arch in toolkit.codes)


def facts(plan: Plan) -> dict:
    """What `fastgan info` tells about the build."""
    return {
        "cpu": plan.cpu,
        "cuda": plan.cuda,
        "reasons": plan.reasons,
        "compiler": version_of(plan.cxx) if plan.cpu else "",
        "torch": plan.torch_version if plan.cpu else "",
        "cuda_version": plan.cuda_version,
        "cuda_archs": ";".join(plan.archs),
    }
