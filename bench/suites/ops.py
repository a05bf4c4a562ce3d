"""Suite `ops`: each chain operator on the layers of the presets, and gan_loss; against ATen and stock torch."""

from typing import Any

import numpy as np
import torch
from fastgan.bench import gan_loss
from fastgan.bench.cases import Case
from fastgan.bench.engines import OURS, Backend, is_ours, on_cuda
from fastgan.bench.engines.operator import forward, named
from fastgan.bench.options import Options
from fastgan.bench.race import Record, Say, race_all

from fastgan import backends
from fastgan.device import DTYPES
from fastgan.models.layers import layers

BATCH = 64
ROUNDS = 3
PASSES = ("forward", "input grad", "weight grad")
MODELS = (("keras", (64, 64), 3), ("dcgan", (64, 64), 3), ("keras", (28, 28), 1))
TASK = "operator"
BACKENDS = (
    Backend(OURS, "operator", (TASK,), options={"backend": "cpu"}),
    Backend("aten", "operator", (TASK,), options={"backend": "aten"}),
    Backend("stock torch", "operator", (TASK,), options={"backend": "reference"}),
)
BACKENDS_ON_CUDA = (
    Backend(OURS, "operator", (TASK,), options={"backend": "auto"}),
    *(Backend(f"{OURS}-{name}", "operator", (TASK,), options={"backend": name}) for name in on_cuda.FORCED),
    Backend("stock torch", "operator", (TASK,), options={"backend": "reference"}),
    Backend("stock torch tuned", "operator", (TASK,), options={"backend": "reference", "cudnn_benchmark": True}),
)


def run(options: Options, machine: dict[str, Any], records: list[Record], notes: list[str], say: Say) -> None:
    """All layers and passes, then gan_loss; the shapes on which we lose are added to `notes`."""
    rounds = options.rounds or ROUNDS
    rows = on_cuda.fit(BACKENDS_ON_CUDA, options.precision, notes) if options.device == "cuda" else BACKENDS
    try:
        race_all(cases(options), rows, options, rounds, machine, records, say)
        gan_loss.run(options, rounds, machine, records, say)
    finally:
        notes += losers(records)


def losers(records: list[Record]) -> list[str]:
    """One line for each case on which a peer is faster."""
    return [
        ("" if record["backend"] == OURS else f"{record['backend']}: ")
        + f"slower than {record['best_peer']} on {record['case']}, batch {record['batch']}: "
        f"{record['ratio_to_best_peer']:.2f} of its speed"
        for record in records
        if is_ours(record["backend"])
        and record["waiting"] == "passive"
        and record["ratio_to_best_peer"] is not None
        and record["ratio_to_best_peer"] < 1
    ]


def cases(options: Options) -> list[Case]:
    """Every layer once, each pass; sizes scaled to `options.size` and `options.width`."""
    found: dict[str, dict[str, Any]] = {}
    for preset, size, channels in MODELS:
        size = size if options.size == (64, 64) else options.size
        for layer in layers(preset, size, channels, options.width):
            found.setdefault(_name(layer), layer)
    batch = options.batch or BATCH
    return [_case(name, layer, which, batch, options) for name, layer in found.items() for which in PASSES]


def _name(layer: dict[str, Any]) -> str:
    kind = "transposed" if layer["transposed"] else "plain"
    sizes = " to ".join("x".join(map(str, layer[key])) for key in ("input_size", "output_size"))
    return f"{kind} {layer['inner']} to {layer['outer']}, {sizes}" + (", statistics" if layer["statistics"] else "")


def _case(name: str, layer: dict[str, Any], which: str, batch: int, options: Options) -> Case:
    random = np.random.default_rng(0)
    dtype = DTYPES[options.precision]

    def normal(*shape: int) -> np.ndarray:
        return random.standard_normal(shape, dtype=np.float32)

    def rounded(*shape: int) -> np.ndarray:
        """Numbers that the precision has, so that an engine reads what the float64 reference reads."""
        array = normal(*shape)
        return array if dtype == torch.float32 else torch.from_numpy(array).to(dtype).float().numpy()

    ends = (layer["inner"], layer["outer"]) if layer["transposed"] else (layer["outer"], layer["inner"])
    inputs = {"x": rounded(batch, layer["inner"], *layer["input_size"]), "weight": rounded(*ends, *layer["kernel"])}
    if not layer["plain_input"]:
        inputs |= {"scale": 1 + 0.2 * normal(1, layer["inner"]), "shift": 0.2 * normal(1, layer["inner"])}
    if which != "forward":
        inputs["grad_output"] = rounded(batch, layer["outer"], *layer["output_size"])
    small = layer["input_size"] if layer["transposed"] else layer["output_size"]
    flops = 2 * layer["inner"] * layer["outer"] * int(np.prod(layer["kernel"])) * int(np.prod(small))
    job = {"layer": layer, "pass": which}
    place = options.device, options.precision
    return Case("ops", f"{name}, {which}", batch, TASK, job, {}, inputs, flops, expected, *place)


def expected(case: Case) -> dict[str, np.ndarray]:
    """The definition in float64."""
    tensors = {name: torch.from_numpy(array).double() for name, array in case.inputs.items()}
    x, weight = tensors["x"].requires_grad_(), tensors["weight"].requires_grad_()
    with backends.use_backend("reference"):
        result = forward(case.job["layer"], x, weight, tensors.get("scale"), tensors.get("shift"))
        if case.job["pass"] != "forward":
            wanted = x if case.job["pass"] == "input grad" else weight
            result = torch.autograd.grad(result.output, wanted, tensors["grad_output"])
    return named(result, case.job)
