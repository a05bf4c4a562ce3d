"""What the step's convolution kernels need once they are compiled, and how full they leave a multiprocessor."""

import json
from pathlib import Path
from typing import Any

from fastgan.bench.gpu.devices import DEVICES, occupancy

# Written by the compiler, of preset keras at its batch and precision: nothing here ran.
_FILE = Path(__file__).with_name("resources.json")


def compiled_kernels() -> dict[str, Any]:
    """batch, precision, and rows: launch, target, device, registers of a thread, shared bytes, warps and occupancy."""
    content = json.loads(_FILE.read_text())
    devices = {device.target: device for device in DEVICES}
    for row in content["rows"]:
        device = devices[row["target"]]
        row["device"] = device.name
        row["occupancy"] = occupancy(device, row["registers"], row["shared"], row["warps"])
    return content
