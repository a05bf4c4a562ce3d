"""A result as text: one table a case, the conditions above, what was refused or lost below."""

from typing import Any

from fastgan.bench.engines import is_ours
from fastgan.bench.race import Record
from fastgan.bench.suites import generate, gpu_model, memory

_HEAD = f"  {'backend':<22}{'img/s':>9}{'p20':>9}{'p80':>9}{'of best peer':>14}{'of roofline':>13}{'rel. error':>12}"


def text(result: dict[str, Any]) -> str:
    """The whole result for a terminal."""
    lines = [conditions(result["machine"])]
    for title, records in by_case(result["records"]).items():
        lines += ["", title, *_table(records)]
    lines += ["", *result["notes"]] if result["notes"] else []
    lines += ["", "interrupted: only finished rounds count"] if result["interrupted"] else []
    return "\n".join(lines)


def conditions(machine: dict[str, Any]) -> str:
    """The machine in two lines, with a GPU in three."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items() if version)
    peak = f"FMA peak {machine['fma_gflops']:.0f} GFLOP/s" if machine["fma_gflops"] else "FMA peak not measured"
    limits = f"{peak}, memory {machine['triad_gb_per_s']:.0f} GB/s, " if machine["triad_gb_per_s"] else ""
    gpu = f"{_gpu(machine['gpu'])}\n" if machine.get("gpu") else ""
    return (
        f"{gpu}{machine['cpu']}, {machine['threads']} threads, capability {machine['capability'] or 'none'}, "
        f"{limits}load {_loads(machine)}\n"
        f"{versions}; Python {machine['python']}, {machine['system']}, commit {machine['commit'] or 'unknown'}"
    )


def _gpu(gpu: dict[str, Any]) -> str:
    """What is known of the GPU; what nvidia-smi did not tell is left out."""
    facts = [
        gpu["name"],
        f"compute capability {gpu['compute_capability']}, {gpu['multiprocessors']} SMs, {gpu['memory_gb']:.0f} GB",
        f"{gpu['precision']} matmul peak {gpu['matmul_tflops']:.1f} TFLOP/s, copy {gpu['copy_gb_per_s']:.0f} GB/s",
        *(
            f"{what} {gpu[now]:.0f} of {gpu[most]:.0f} MHz"
            for what, now, most in (("SM", "sm_mhz", "sm_mhz_max"), ("memory", "memory_mhz", "memory_mhz_max"))
            if gpu[now] and gpu[most]
        ),
        f"power limit {gpu['power_limit_w']:.0f} W" if gpu["power_limit_w"] else None,
        f"driver {gpu['driver']}" if gpu["driver"] else None,
        f"CUDA {gpu['cuda']}, cuDNN {gpu['cudnn']}",
    ]
    return ", ".join(fact for fact in facts if fact)


def _loads(machine: dict[str, Any]) -> str:
    return " to ".join(f"{load:.1f}" for load in (machine["load_before"], machine["load_after"]) if load is not None)


def by_case(records: list[Record]) -> dict[str, list[Record]]:
    """Records of one table each, by its title, in the order they came."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        waiting = ", engines wait as they do by default" if record.get("waiting") == "default" else ""
        place = f", {record['device']} {record['precision']}" if record.get("device", "cpu") != "cpu" else ""
        title = f"{record['suite']}, {record['case']}, batch {record['batch']}{place}{waiting}"
        if record["suite"] == "generate":  # its cases are what is compared
            title = f"generate, {record['batch']} images"
        groups.setdefault(title, []).append(record)
    return groups


def _table(records: list[Record]) -> list[str]:
    special = _TABLES.get(records[0]["suite"])
    return special(records) if special else speed_table(records)


def speed_table(records: list[Record]) -> list[str]:
    """Fastest first; refused ones last, with the reason instead of a speed."""
    lines = [_HEAD]
    for record in ordered(records):
        if record["img_per_s"] is None:
            lines.append(f"  {record['backend']:<22}{record['refused'] or 'not timed'}")
            continue
        speed = record["img_per_s"]
        ratio = f"{record['ratio_to_best_peer']:.2f}" if record["ratio_to_best_peer"] is not None else "-"
        share = f"{record['roofline_fraction']:.2f}" if record["roofline_fraction"] is not None else "-"
        numbers = f"{speed['p50']:>9.1f}{speed['p20']:>9.1f}{speed['p80']:>9.1f}{ratio:>14}{share:>13}"
        mark = "*" if is_ours(record["backend"]) else " "
        lines.append(f"{mark} {record['backend']:<22}{numbers}{record['max_rel_err']:>12.1e}")
    return lines


def ordered(records: list[Record]) -> list[Record]:
    """Fastest first, those without a speed last."""
    return sorted(records, key=lambda record: -(record["img_per_s"] or {"p50": 0})["p50"])


_TABLES: dict[str, Any] = {"memory": memory.table, "generate": generate.table, "gpu-model": gpu_model.table}
