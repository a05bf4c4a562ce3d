"""Suite `generator`: latents in memory to images in memory."""

import numpy as np
import torch
from fastgan.bench.cases import Case
from fastgan.bench.engines import GENERATOR
from fastgan.bench.network import generator_layers, random_arrays
from fastgan.bench.options import Options
from fastgan.bench.roofline import generator_flops
from fastgan.bench.stock import build

BATCHES = (1, 16, 64, 256)
CLASSES = (0, 10)
Z_DIM = 100


def cases(options: Options, batches: tuple[int, ...] = BATCHES, classes: tuple[int, ...] = CLASSES) -> list[Case]:
    """Unconditional and 10-class, each batch."""
    batches = (options.batch,) if options.batch else batches
    return [_case(options, batch, count) for count in classes for batch in batches]


def _case(options: Options, batch: int, classes: int) -> Case:
    layers = generator_layers(options.size, 3, options.width, Z_DIM, classes)
    random = np.random.default_rng(batch)
    inputs = {"z": random.standard_normal((batch, Z_DIM)).astype(np.float32)}
    if classes:
        inputs["c"] = np.arange(batch, dtype=np.int64) % classes
    model = {"size": list(options.size), "width": options.width, "z_dim": Z_DIM, "num_classes": classes}
    return Case(
        suite="generator",
        name=f"{classes} classes" if classes else "unconditional",
        batch=batch,
        task=GENERATOR,
        job={"generator": layers, "model": model},
        weights={f"g/{name}": array for name, array in random_arrays(layers, 0).items()},
        inputs=inputs,
        flops=generator_flops(layers),
        expected=expected,
        device=options.device,
        precision=options.precision,
    )


def expected(case: Case) -> dict[str, np.ndarray]:
    """The images in float64."""
    weights = {name[2:]: array for name, array in case.weights.items()}
    model = build(case.job["generator"], weights).double().eval()
    inputs = [torch.from_numpy(case.inputs["z"]).double()]
    if "c" in case.inputs:
        inputs.append(torch.from_numpy(case.inputs["c"]))
    with torch.inference_mode():
        return {"images": model(*inputs).numpy()}
