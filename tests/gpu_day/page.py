"""The day's results as one HTML file that loads nothing."""

import statistics
from pathlib import Path
from typing import Any

import jinja2

_SHOWN = 12  # failures that the page lists; the log has all


def page(result: dict[str, Any]) -> str:
    """The page as text; a dry run says so at its head and beside every number."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    stages = list(result["stages"].values())
    return environment.get_template("page.html").render(
        label=result["label"],
        time_head="Stand-in" if result["dry_run"] else "Measured",
        begun=result["begun"],
        verdict=verdict(stages),
        stages=stages,
        facts=_facts(result["stages"].get("device")),
        failures=[each for stage in stages for each in stage["details"].get("failures", [])][:_SHOWN],
        tuned=_tuned(result["stages"].get("tune")),
        races=[_race(stage) for stage in stages if stage["details"].get("rows")],
        floors=_floors(result["stages"].get("floors")),
    )


def verdict(stages: list[dict[str, Any]]) -> str:
    failed = [stage["title"] for stage in stages if stage["state"] == "failed"]
    passed = sum(stage["state"] == "passed" for stage in stages)
    return f"Failed: {'; '.join(failed)}." if failed else f"{passed} stages passed."


def _facts(stage: dict[str, Any] | None) -> list[tuple[str, str]]:
    """What was there, as names and values."""
    if not stage or not stage["details"]:
        return []
    found = stage["details"]
    versions = {name: value for name, value in found["facts"]["versions"].items() if value}
    build = found["facts"]["native"]["build"]
    built = f"CUDA {build['cuda_version']} for {build['cuda_archs']}" if build.get("cuda") else "without CUDA"
    stream = "found" if found["stream"] else "not in this torch"
    rows = [
        ("Versions", ", ".join(f"{name} {value}" for name, value in versions.items())),
        ("Our binary", f"{built}; torch's CUDA stream: {stream}"),
    ]
    rows += [
        (f"Backend {name}", said or "ran, on the stream it was called on") for name, said in found["backends"].items()
    ]
    if device := found.get("device"):
        rows.insert(0, ("Device", f"{device['name']}, compute capability {device['compute_capability']}"))
        rows.append(("Limits", f"{device['matmul_tflops']:.0f} TFLOP/s of fp16, {device['copy_gb_per_s']:.0f} GB/s"))
    return rows


def _tuned(stage: dict[str, Any] | None) -> list[dict[str, str]]:
    entries = stage["details"].get("entries", []) if stage else []
    return [
        {
            "operator": each["operator"],
            "precision": each["precision"],
            "on": each["measured_on"],
            "speedup": f"{each['speedup']:.2f}" if each["speedup"] else "",
            "said": each["reason"] or each["chosen"],
        }
        for each in entries
    ]


def _race(stage: dict[str, Any]) -> dict[str, Any]:
    rows = stage["details"]["rows"]
    return {
        "title": stage["title"],
        "page": stage["details"]["page"],
        "rows": [
            {
                "case": f"{row['case']}, batch {row['batch']}",
                "backend": row["backend"],
                "time": _microseconds(statistics.median(row["seconds_per_call"])) if row["seconds_per_call"] else "",
                "ratio": f"{row['ratio_to_best_peer']:.2f}" if row["ratio_to_best_peer"] else "",
                "said": row["refused"] or "",
            }
            for row in rows
        ],
    }


def _floors(stage: dict[str, Any] | None) -> dict[str, Any] | None:
    """Operators and steps, those furthest from their floors first."""
    if not stage or "operators" not in stage["details"]:
        return None
    found = stage["details"]
    rows = [
        {
            "name": f"{row['operator']}: {row['on']}" if "operator" in row else f"training step of {row['step']}",
            "how": f"{row['precision']}, " + (row["backend"] if "operator" in row else f"batch {row['batch']}"),
            "floor": _microseconds(row["floor"]) if "floor" in row else "",
            "time": _microseconds(row["seconds"]) if "seconds" in row else "",
            "stock": _microseconds(row["stock"]) if "stock" in row else "",
            "share": row.get("share"),
            "said": row.get("refused", ""),
        }
        for row in (*found["steps"], *found["operators"])
    ]
    rows.sort(key=lambda row: row["share"] or 0)
    return {"rates": found["rates"], "device": found["device"], "rows": rows}


def _microseconds(seconds: float) -> str:
    microseconds = 1e6 * seconds
    return f"{microseconds:,.0f}" if microseconds >= 100 else f"{microseconds:.3g}"
