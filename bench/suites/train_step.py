"""Suite `train-step`: the user's own loop on stock modules, ours after `fuse_`; also with R1 in every step."""

import numpy as np
import torch
from fastgan.bench.cases import Case
from fastgan.bench.engines import TRAIN_STEP, TRAIN_STEP_R1
from fastgan.bench.network import discriminator_layers, generator_layers, random_arrays
from fastgan.bench.options import Options
from fastgan.bench.roofline import step_flops
from fastgan.bench.step import TrainingStep
from fastgan.bench.stock import build

BATCH = 64
Z_DIM = 100


def cases(options: Options, batch: int = BATCH, with_r1: tuple[bool, ...] = (False, True)) -> list[Case]:
    """The step without and with R1."""
    return [_case(options, options.batch or batch, r1) for r1 in with_r1]


def _case(options: Options, batch: int, r1: bool) -> Case:
    generator = generator_layers(options.size, 3, options.width, Z_DIM)
    discriminator = discriminator_layers(options.size, 3, options.width)
    random = np.random.default_rng(batch)
    weights = {f"g/{name}": array for name, array in random_arrays(generator, 0).items()}
    weights |= {f"d/{name}": array for name, array in random_arrays(discriminator, 1).items()}
    inputs = {
        "z": random.standard_normal((batch, Z_DIM)).astype(np.float32),
        "x": np.tanh(random.standard_normal((batch, 3, *options.size))).astype(np.float32),
    }
    return Case(
        suite="train-step",
        name="with R1" if r1 else "plain",
        batch=batch,
        task=TRAIN_STEP_R1 if r1 else TRAIN_STEP,
        job={"generator": generator, "discriminator": discriminator, "r1": r1},
        weights=weights,
        inputs=inputs,
        flops=step_flops(generator, discriminator, r1),
        expected=expected,
        device=options.device,
        precision=options.precision,
    )


def expected(case: Case) -> dict[str, np.ndarray]:
    """Both losses of the first step and how far it moves each parameter, in float64."""
    models = []
    for letter, layers in (("g/", case.job["generator"]), ("d/", case.job["discriminator"])):
        weights = {name[2:]: array for name, array in case.weights.items() if name.startswith(letter)}
        models.append(build(layers, weights).double())
    z, x = (torch.from_numpy(case.inputs[name]).double() for name in ("z", "x"))
    step = TrainingStep(*models, z, x, case.job["r1"])
    d_loss, g_loss = step()
    updates = {f"update/{name}": value.numpy() for name, value in step.updates().items()}
    return {"d_loss": d_loss.numpy(), "g_loss": g_loss.numpy(), **updates}
