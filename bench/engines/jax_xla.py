"""JAX, compiled by XLA for the CPU."""

import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..network import EPS, MOMENTUM, SLOPE, Arrays, Layer
from . import nhwc

_MAPS = ("NHWC", "HWIO", "NHWC")
# As step.py, which needs torch.
_RATE, _BETAS, _ADAM_EPS, _R1_GAMMA = 2e-4, (0.5, 0.999), 1e-8, 10.0


def forward(layers: list[Layer], trained: Any, kept: Any, x: Any, c: Any = None, training: bool = False) -> Any:
    """The network's output, and its running statistics after a batch in training."""
    kept = dict(kept)
    for i, layer in enumerate(layers):
        weight, bias = trained.get(f"{i}.weight"), trained.get(f"{i}.bias")
        kind = layer["kind"]
        if kind == "linear":
            x = x @ weight
        elif kind == "conv":
            x = lax.conv_general_dilated(x, weight, (2, 2), ((1, 1), (1, 1)), dimension_numbers=_MAPS)
        elif kind == "conv_transpose":
            turned = weight[::-1, ::-1]
            pad = ((2, 2), (2, 2))
            x = lax.conv_general_dilated(x, turned, (1, 1), pad, lhs_dilation=(2, 2), dimension_numbers=_MAPS)
        elif kind == "batch_norm":
            axes = tuple(range(x.ndim - 1))
            mean, var = x.mean(axes), x.var(axes)
            count = x.size // x.shape[-1]
            for name, value in (("mean", mean), ("var", var * (count / (count - 1)))):
                old = kept[f"{i}.running_{name}"]
                kept[f"{i}.running_{name}"] = old + MOMENTUM * (value - old)
            x = (x - mean) * (lax.rsqrt(var + EPS) * weight) + bias
            bias = None
        elif kind == "affine":
            rows = (x.shape[0], *[1] * (x.ndim - 2), -1)
            x = x * weight[c].reshape(rows) + bias[c].reshape(rows)
            bias = None
        elif kind == "leaky_relu":
            x = jnp.where(x >= 0, x, SLOPE * x)
        elif kind == "unflatten":
            x = x.reshape(x.shape[0], layer["height"], layer["width"], -1)
        elif kind == "flatten":
            x = x.reshape(x.shape[0], -1)
        elif kind == "tanh":
            x = jnp.tanh(x)
        if bias is not None:
            x = x + bias
    return x, kept


class GeneratorEngine:
    def __init__(self, job: dict[str, Any], arrays: Arrays):
        layers = job["generator"]
        trained = {name: jnp.asarray(v) for name, v in nhwc.split(arrays, "g/", layers)[0].items()}
        self.inputs = [jnp.asarray(arrays[name]) for name in ("z", "c") if name in arrays]
        # The weights are constants of the compiled function: it may lay them out as it likes, once.
        self.run = jax.jit(lambda *inputs: forward(layers, trained, {}, *inputs)[0])

    def call(self) -> Any:
        return self.run(*self.inputs).block_until_ready()

    def check(self) -> dict[str, np.ndarray]:
        return {"images": np.ascontiguousarray(np.asarray(self.call()).transpose(0, 3, 1, 2))}

    def reset(self) -> None:
        pass

    def versions(self) -> dict[str, str]:
        return {"jax": jax.__version__}


class TrainingEngine(GeneratorEngine):
    def __init__(self, job: dict[str, Any], arrays: Arrays):
        self.layers = {"g/": job["generator"], "d/": job["discriminator"]}
        split = {letter: nhwc.split(arrays, letter, layers) for letter, layers in self.layers.items()}
        self.start = {letter: trained for letter, (trained, _) in split.items()}
        self.kept = split["g/"][1]
        self.z = jnp.asarray(arrays["z"])
        self.x = jnp.asarray(np.ascontiguousarray(arrays["x"].transpose(0, 2, 3, 1)))
        self.run = jax.jit(self._step(job["r1"]), donate_argnums=(0,))
        self.reset()

    def call(self) -> Any:
        self.state, losses = self.run(self.state, self.z, self.x)
        return jax.block_until_ready(losses)

    def check(self) -> dict[str, np.ndarray]:
        d_loss, g_loss = self.call()
        now = {letter: self.state[letter]["weights"] for letter in self.layers}
        losses = {"d_loss": np.asarray(d_loss), "g_loss": np.asarray(g_loss)}
        return {**losses, **nhwc.updates(self.start, now, self.layers)}

    def reset(self) -> None:
        self.state = {"kept": {name: jnp.asarray(value) for name, value in self.kept.items()}}
        for letter, weights in self.start.items():
            zeros = {name: jnp.zeros_like(value) for name, value in weights.items()}
            copies = {name: jnp.array(value) for name, value in weights.items()}
            self.state[letter] = {
                "weights": copies,
                "m": zeros,
                "v": jax.tree.map(jnp.copy, zeros),
                "t": jnp.zeros(()),
            }

    def _step(self, r1: bool) -> Any:
        g_layers, d_layers = self.layers["g/"], self.layers["d/"]

        def generate(weights, kept, z):
            return forward(g_layers, weights, kept, z, training=True)

        def logits(weights, x):
            return forward(d_layers, weights, {}, x)[0]

        def d_loss(weights, x, fake):
            loss = jax.nn.softplus(-logits(weights, x)).mean() + jax.nn.softplus(logits(weights, fake)).mean()
            if r1:
                slope = jax.grad(lambda images: logits(weights, images).sum())(x)
                loss = loss + _R1_GAMMA / 2 * jnp.square(slope).sum((1, 2, 3)).mean()
            return loss

        def step(state, z, x):
            g, d = state["g/"], state["d/"]
            fake, back, kept = jax.vjp(lambda weights: generate(weights, state["kept"], z), g["weights"], has_aux=True)
            d_value, d_grads = jax.value_and_grad(d_loss)(d["weights"], x, fake)
            d = adam(d, d_grads)
            g_value, by_image = jax.value_and_grad(
                lambda images: jax.nn.softplus(-logits(d["weights"], images)).mean()
            )(fake)
            g = adam(g, back(by_image)[0])
            return {"g/": g, "d/": d, "kept": kept}, (d_value, g_value)

        return step


def adam(state: Any, grads: Any) -> Any:
    """torch.optim.Adam's formula."""
    t = state["t"] + 1
    m = jax.tree.map(lambda m, g: m + (1 - _BETAS[0]) * (g - m), state["m"], grads)
    v = jax.tree.map(lambda v, g: v * _BETAS[1] + (1 - _BETAS[1]) * g * g, state["v"], grads)
    rate, root = _RATE / (1 - _BETAS[0] ** t), jnp.sqrt(1 - _BETAS[1] ** t)
    weights = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) / root + _ADAM_EPS), state["weights"], m, v)
    return {"weights": weights, "m": m, "v": v, "t": t}


def prepare(job: dict[str, Any], arrays: Arrays) -> GeneratorEngine:
    if hasattr(os, "sched_setaffinity"):  # its thread pool is as large as the processors it may use
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: job["threads"]])
    engine = (GeneratorEngine if job["task"] == "generator" else TrainingEngine)(job, arrays)
    engine.call()  # compiles here, not in a round
    engine.reset()
    return engine
