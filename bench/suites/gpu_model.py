"""Suite `gpu-model`: predicted floors of a training step on GPUs, stock torch's and ours by the same model."""

from typing import Any

from fastgan.bench.engines import OURS
from fastgan.bench.gpu.compiled import compiled_kernels
from fastgan.bench.gpu.devices import DEVICES, Device
from fastgan.bench.gpu.floor import floor, listed
from fastgan.bench.gpu.launches import Launch
from fastgan.bench.gpu.step import step_launches
from fastgan.bench.options import Options
from fastgan.bench.race import Record, Say

BATCH = 128
STOCK = "channels-last"
NOTE = (
    "predicted floors: every launch at the full rate of the device's memory or arithmetic, whichever takes longer, "
    "from data sheets; nothing was run on a GPU, and no kernel reaches its floor"
)


def run(options: Options, machine: dict[str, Any], records: list[Record], notes: list[str], say: Say) -> None:
    """One record a device and side, one more a side with the list of launches, and one of the compiled kernels."""
    batch, precision = options.batch or BATCH, options.precision
    sides: dict[str, list[Launch]] = {}
    for name in (OURS, STOCK):
        say(f"gpu-model: tracing a step of {name}")
        sides[name] = step_launches(name == OURS, batch, options.size, options.width, precision, r1=False)
    case = f"training step, {precision}"
    for device in DEVICES:
        records += [_record(f"{case}, {device.name}", batch, name, sides, machine, device) for name in sides]
    records += [_record(f"launches of a {case}", batch, name, sides, machine, None) for name in sides]
    kernels = compiled_kernels()
    title = f"occupancy of the compiled convolutions, {kernels['precision']}"
    record = _record(title, kernels["batch"], OURS, sides, machine, None)
    record["predicted"] = {"bytes": record["predicted"]["bytes"], "kernels": kernels["rows"]}
    records.append(record)
    notes.append(NOTE)


def _record(case: str, batch: int, name: str, sides: dict[str, list[Launch]], machine: dict, device: Device | None):
    launches, stock = sides[name], sides[STOCK]
    predicted: dict[str, Any] = {
        "launches": len(launches),
        "bytes": sum(launch.bytes for launch in launches),
        "gflop": sum(launch.operations for launch in launches) / 1e9,
    }
    ratio = sum(launch.bytes for launch in stock) / predicted["bytes"]
    if device:
        seconds, of_stock = (sum(floor(launch, device) for launch in side) for side in (launches, stock))
        predicted |= {"floor_seconds": seconds, "source": device.source}
        ratio = of_stock / seconds
    else:
        predicted["list"] = [row._asdict() for row in listed(launches)]
    return {
        "suite": "gpu-model",
        "case": case,
        "batch": batch,
        "backend": name,
        "waiting": "passive",
        "img_per_s": None,
        "predicted": predicted,
        "best_peer": STOCK,
        "ratio_to_best_peer": ratio,
        "gflop_per_image": predicted["gflop"] / batch,
        "roofline_fraction": None,
        "max_rel_err": None,
        "seconds_per_call": None,
        "refused": None,
        "machine": machine,
    }


def table(records: list[Record]) -> list[str]:
    """Floors of one device; or the lists of launches, both sides'; or how full the kernels leave each device."""
    if "kernels" in records[0]["predicted"]:
        return _occupancy(records[0]["predicted"]["kernels"])
    if "list" in records[0]["predicted"]:
        return [line for record in records for line in _list(record)]
    head = f"  {'backend':<22}{'predicted floor ms':>20}{'of the peer':>14}{'launches':>10}{'MB':>9}{'GFLOP':>9}"
    lines = [head]
    for record in records:
        predicted = record["predicted"]
        milliseconds, share = 1e3 * predicted["floor_seconds"], 1 / record["ratio_to_best_peer"]
        mark = "*" if record["backend"] == OURS else " "
        numbers = f"{milliseconds:>20.3f}{share:>14.2f}{predicted['launches']:>10}{predicted['bytes'] / 1e6:>9.0f}"
        lines.append(f"{mark} {record['backend']:<22}{numbers}{predicted['gflop']:>9.0f}")
    return lines


def _occupancy(rows: list[dict[str, Any]]) -> list[str]:
    """Per launch and device: registers of a thread, and the share of a multiprocessor's warps."""
    names = [device.name for device in DEVICES]
    by_launch: dict[str, dict[str, str]] = {}
    for row in rows:
        cell = f"{row['registers']} regs {row['occupancy']:.2f}"
        by_launch.setdefault(row["launch"], {})[row["device"]] = cell
    lines = ["  " + f"{'compiled, registers of a thread and occupancy':<52}" + "".join(f"{name:>16}" for name in names)]
    return lines + [
        f"  {launch:<52}" + "".join(f"{cells[name]:>16}" for name in names) for launch, cells in by_launch.items()
    ]


def _list(record: Record) -> list[str]:
    predicted = record["predicted"]
    share = 1 / record["ratio_to_best_peer"]
    title = f"{predicted['launches']} launches, {predicted['bytes'] / 1e6:.0f} MB ({share:.2f} of {STOCK})"
    lines = [f"  {record['backend']}: {title}", f"  {'launches':>8}{'GFLOP':>8}{'MB read':>10}{'written':>9}  kernel"]
    for row in predicted["list"]:
        numbers = f"{row['launches']:>8}{row['gflop']:>8.1f}{row['read'] / 1e6:>10.2f}{row['written'] / 1e6:>9.2f}"
        lines.append(f"  {numbers}  {row['kernel']}: {_shortened(row['shapes'])}")
    return [*lines, ""]


def _shortened(shapes: str, most: int = 8) -> str:
    each = shapes.split()
    return shapes if len(each) <= most else f"{' '.join(each[:most])} and {len(each) - most} more"
