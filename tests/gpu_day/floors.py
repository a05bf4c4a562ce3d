"""Stage `floors`: what each operator takes on the layers of the presets, beside the least it can take.

    python -m tests.gpu_day.floors FOLDER

Floors are those of `fastgan bench gpu-model`: bytes or operations of every launch, whichever takes longer, at the rates
of this device's data sheet, or, where it has no row there, at those that were measured today. The training steps that
FOLDER's benchmarks timed are put beside theirs. Prints a JSON object.
"""

import json
import os
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from fastgan.bench import cuda_device
from fastgan.bench.engines import OURS
from fastgan.bench.gpu.devices import DEVICES, Device
from fastgan.bench.gpu.floor import floor
from fastgan.bench.gpu.launches import launches
from fastgan.bench.gpu.step import step_launches
from fastgan.bench.gpu.trace import recorded
from torch._subclasses.fake_tensor import FakeTensorMode

from fastgan import backends
from fastgan.tuning import Scope
from fastgan.tuning.cases import Case, cases
from fastgan.tuning.timing import Contender, compare

from .stand_ins import TINY

DRY = bool(os.environ.get("FASTGAN_GPU_DRY_RUN"))
DTYPES = {"fp16": torch.float16, "fp32": torch.float32}
STOCK_STEP = "channels-last"
BACKENDS = ("cpu",) if DRY else ("triton", "cuda")


def rates(name: str) -> Device:
    """The row of the data sheets whose name is in the device's, else one with what was measured today."""
    for device in DEVICES:
        if device.name in name:
            return device
    half, single = (cuda_device.matmul_tflops(torch.device("cuda"), precision) for precision in ("fp16", "fp32"))
    memory = cuda_device.copy_gb_per_s(torch.device("cuda"))
    properties = torch.cuda.get_device_properties(0)
    target = f"sm_{properties.major}{properties.minor}"
    # Of tf32 nothing is measured: half the rate of halves, as on every device of the table.
    limits = half, half / 2, single, memory, properties.multi_processor_count
    return Device(name, target, *limits, 0, 0, 0, "measured today: products of matrices, and copies")


def predicted(case: Case, dtype: torch.dtype, device: Device) -> float:
    """Seconds of a call's fused launches at the device's rates, by the rules that both sides share."""
    # Which operators run is the same for all of ours. Those of losses ask whether the backend can run on the tensors.
    with FakeTensorMode(), backends.use_backend("cpu" if "loss" in case.operator else "triton"):
        call = case.prepare(torch.device("cpu"), dtype, False)
        return sum(floor(launch, device) for launch in launches(recorded(call)))


def operators(scope: Scope, place: torch.device, device: Device) -> Iterator[dict[str, Any]]:
    """A row a case, precision and backend: its floor, what it took, what stock torch took in the same rounds."""
    for precision, dtype in DTYPES.items() if not DRY else {"fp32": torch.float32}.items():
        for case in cases(scope):
            for backend in BACKENDS:
                row = {"operator": case.operator, "on": case.measured_on, "precision": precision, "backend": backend}
                reason = backends.why_not(case.operator, backend, place.type, dtype)
                if reason is not None:
                    continue
                try:
                    timing = compare(*(_contender(case, each, place, dtype) for each in (backend, "reference")),
                                     place, scope.rounds, scope.seconds)  # fmt: skip
                except Exception as error:
                    yield row | {"refused": f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"}
                    continue
                least = predicted(case, dtype, device)
                yield row | {
                    "floor": least,
                    "seconds": timing.ours,
                    "stock": timing.theirs,
                    "share": least / timing.ours,
                }


def _contender(case: Case, backend: str, place: torch.device, dtype: torch.dtype) -> Contender:
    with backends.use_backend(backend):
        call = case.prepare(place, dtype, False)
    return Contender(call, lambda: backends.use_backend(backend))


def steps(folder: Path, device: Device) -> Iterator[dict[str, Any]]:
    """The plain training steps that were timed, ours and stock torch's, with the floors of their launches."""
    for path in sorted(folder.glob("bench/train-step-*/results.json")):
        result = json.loads(path.read_text())
        options = result["options"]
        for record in result["records"]:
            name, seconds = record["backend"], record["seconds_per_call"]
            if record["case"] != "plain" or record["waiting"] != "passive" or name not in (OURS, STOCK_STEP, "eager"):
                continue
            if not seconds:
                continue
            traced = step_launches(
                name == OURS, record["batch"], tuple(options["size"]), options["width"], options["precision"], False
            )
            least, took = sum(floor(each, device) for each in traced), statistics.median(seconds)
            row = {"step": name, "batch": record["batch"], "precision": options["precision"], "launches": len(traced)}
            yield row | {"floor": least, "seconds": took, "share": least / took}


def main() -> None:
    place = torch.device("cpu" if DRY else "cuda")
    name = "A100" if DRY else torch.cuda.get_device_name()
    device, scope = rates(name), TINY if DRY else Scope(rounds=3)
    found = {"device": name, "rates": device.source, "operators": list(operators(scope, place, device))}
    found["steps"] = list(steps(Path(sys.argv[1]), device))
    timed = [row["share"] for row in found["operators"] if "share" in row]
    counts = f"{len(timed)} operators and {len(found['steps'])} training steps"
    found["said"] = f"{counts} beside their floors ({device.source})"
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
