"""The least time that launches can take on a device, and lists of what it is made of."""

from collections.abc import Sequence
from typing import NamedTuple

from fastgan.bench.gpu.devices import Device
from fastgan.bench.gpu.launches import Launch


class Row(NamedTuple):
    """Launches of one kernel on one set of shapes: `seconds` is the floor of all of them."""

    kernel: str
    shapes: str
    launches: int
    gflop: float
    read: int
    written: int
    seconds: float | None = None


def floor(launch: Launch, device: Device) -> float:
    """Seconds: the longer of its operations at the device's peak and its bytes at the memory's."""
    peak = device.tflops(launch.element, launch.matrix) * 1e12
    return max(launch.operations / peak, launch.bytes / (device.gb_per_s * 1e9))


def listed(launches: Sequence[Launch], device: Device | None = None) -> list[Row]:
    """The launches by kernel and shapes, in the order of their first use."""
    groups: dict[tuple[str, str], list[Launch]] = {}
    for launch in launches:
        groups.setdefault((launch.kernel, launch.shapes), []).append(launch)
    return [
        Row(
            kernel,
            shapes,
            len(group),
            sum(each.operations for each in group) / 1e9,
            sum(each.read for each in group),
            sum(each.written for each in group),
            sum(floor(each, device) for each in group) if device else None,
        )
        for (kernel, shapes), group in groups.items()
    ]
