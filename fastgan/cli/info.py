"""`fastgan info`: what this installation can do on this machine, and why not more."""

from typing import Any

import typer

from fastgan import build_info
from fastgan.cli.console import emit


def info(as_json: bool = typer.Option(False, "--json", help="Print JSON instead of text.")) -> None:
    """Show versions, what was built, and which backends can run.

    Example: fastgan info --json
    """
    facts = build_info.facts()
    emit("\n".join(described(facts)), facts, as_json)


def described(facts: dict[str, Any]) -> list[str]:
    """What `fastgan.build_info.facts` gives, for people."""
    native, cpu, device = facts["native"], facts["cpu"], facts["cuda_device"]
    lines = ["  ".join(f"{name} {value}" for name, value in facts["versions"].items() if value)]
    lines += ["", "native part"]
    lines.append(_yes_no("operators", native["operators_missing"], _built(native["build"])))
    lines.append(_yes_no("host module", native["host_module_missing"]))
    if reason := native["build"]["reasons"].get("cuda"):
        lines.append(_yes_no("CUDA kernels", reason))
    if not native["operators"]:
        lines.append(f"  to get it: {native['how_to_build']}")
    lines += ["", "backends"]
    lines += [_yes_no(name, state["reason"]) for name, state in facts["backends"].items()]
    taken = [f"{name} for {', '.join(ops)}" for name, ops in facts["auto"].items() if ops]
    lines.append(f"  {'chosen':<14}{facts['choice']} (auto: {'; '.join([*taken, 'reference for the rest'])})")
    lines.append(_yes_no("tuned", facts["tuned"]["reason"], _tuned(facts["tuned"])))
    capability = f"capability {cpu['capability']}" if cpu["capability"] else "no native capability"
    lines += ["", f"CPU            {capability}, {cpu['threads']} threads"]
    shown = f"{device['name']}, compute capability {device['compute_capability']}" if device else "none"
    lines.append(f"CUDA device    {shown}")
    return lines


def _tuned(tuned: dict[str, Any]) -> str:
    number = sum(tuned["chosen"].values())
    chains = f"models on chains at {', '.join(tuned['chains'])}" if tuned["chains"] else "no models on chains"
    return f"{tuned['path']}: {number} of {tuned['classes']} classes of shapes, {chains}"


def _built(build: dict[str, Any]) -> str:
    if not build["cpu"]:
        return ""
    cuda = f", CUDA {build['cuda_version']} for {build['cuda_archs']}" if build["cuda"] else ""
    return f"built with {build['compiler']}, torch {build['torch']}{cuda}"


def _yes_no(name: str, reason: str | None, detail: str = "") -> str:
    state = f"no   {reason}" if reason else f"yes  {detail}"
    return f"  {name:<14}{state}".rstrip()
