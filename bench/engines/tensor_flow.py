"""TensorFlow in graph mode, with XLA or without."""

from typing import Any

import numpy as np
import tensorflow as tf

from ..network import EPS, MOMENTUM, SLOPE, Arrays, Layer
from . import nhwc

# As step.py, which needs torch.
_RATE, _BETAS, _ADAM_EPS, _R1_GAMMA = 2e-4, (0.5, 0.999), 1e-8, 10.0


def forward(layers: list[Layer], trained: Any, kept: Any, x: Any, c: Any = None) -> Any:
    """The network's output, with batch norms in training; `kept` variables are updated."""
    for i, layer in enumerate(layers):
        weight, bias = trained.get(f"{i}.weight"), trained.get(f"{i}.bias")
        kind = layer["kind"]
        if kind == "linear":
            x = tf.matmul(x, weight)
        elif kind == "conv":
            x = tf.nn.conv2d(x, weight, 2, "SAME")
        elif kind == "conv_transpose":
            shape = (x.shape[0], x.shape[1] * 2, x.shape[2] * 2, layer["outer"])
            x = tf.nn.conv2d_transpose(x, weight, shape, 2, "SAME")
        elif kind == "batch_norm":
            axes = list(range(len(x.shape) - 1))
            mean, var = tf.nn.moments(x, axes)
            count = int(np.prod([x.shape[axis] for axis in axes]))
            for name, value in (("mean", mean), ("var", var * (count / (count - 1)))):
                old = kept[f"{i}.running_{name}"]
                old.assign_add(MOMENTUM * (value - old))
            x = tf.nn.batch_normalization(x, mean, var, bias, weight, EPS)
            bias = None
        elif kind == "affine":
            rows = (x.shape[0], *[1] * (len(x.shape) - 2), -1)
            x = x * tf.reshape(tf.gather(weight, c), rows) + tf.reshape(tf.gather(bias, c), rows)
            bias = None
        elif kind == "leaky_relu":
            x = tf.nn.leaky_relu(x, SLOPE)
        elif kind == "unflatten":
            x = tf.reshape(x, (x.shape[0], layer["height"], layer["width"], -1))
        elif kind == "flatten":
            x = tf.reshape(x, (x.shape[0], -1))
        elif kind == "tanh":
            x = tf.tanh(x)
        if bias is not None:
            x = tf.nn.bias_add(x, bias)
    return x


def _theirs(arrays: Arrays, letter: str, layers: list[Layer]) -> tuple[Arrays, Arrays]:
    """A transposed convolution's weight is [H, W, out, in] here."""
    trained, kept = nhwc.split(arrays, letter, layers)
    return {name: _turn(name, array, layers) for name, array in trained.items()}, kept


def _turn(name: str, array: np.ndarray, layers: list[Layer]) -> np.ndarray:
    index, _, kind = name.partition(".")
    turned = kind == "weight" and layers[int(index)]["kind"] == "conv_transpose"
    return np.ascontiguousarray(array.transpose(0, 1, 3, 2)) if turned else array


class GeneratorEngine:
    def __init__(self, job: dict[str, Any], arrays: Arrays):
        layers = job["generator"]
        trained = {name: tf.constant(array) for name, array in _theirs(arrays, "g/", layers)[0].items()}
        self.inputs = [tf.constant(arrays[name]) for name in ("z", "c") if name in arrays]
        self.run = tf.function(
            lambda *inputs: forward(layers, trained, {}, *inputs), jit_compile=job["options"]["xla"] or None
        )

    def call(self) -> Any:
        return self.run(*self.inputs)

    def check(self) -> dict[str, np.ndarray]:
        return {"images": np.ascontiguousarray(self.call().numpy().transpose(0, 3, 1, 2))}

    def reset(self) -> None:
        pass

    def versions(self) -> dict[str, str]:
        return {"tensorflow": tf.__version__}


class TrainingEngine(GeneratorEngine):
    def __init__(self, job: dict[str, Any], arrays: Arrays):
        self.layers = {"g/": job["generator"], "d/": job["discriminator"]}
        self.start, self.weights, self.kept = {}, {}, {}
        for letter, layers in self.layers.items():
            self.start[letter], kept = _theirs(arrays, letter, layers)
            self.kept |= {name: (array, tf.Variable(array)) for name, array in kept.items()}
            self.weights[letter] = {name: tf.Variable(array) for name, array in self.start[letter].items()}
        self.slots = {
            letter: {
                name: (tf.Variable(tf.zeros_like(v)), tf.Variable(tf.zeros_like(v))) for name, v in network.items()
            }
            for letter, network in self.weights.items()
        }
        self.t = tf.Variable(0.0)
        self.z = tf.constant(arrays["z"])
        self.x = tf.constant(np.ascontiguousarray(arrays["x"].transpose(0, 2, 3, 1)))
        self.run = tf.function(lambda z, x: self._step(z, x, job["r1"]), jit_compile=job["options"]["xla"] or None)

    def call(self) -> Any:
        d_loss, g_loss = self.run(self.z, self.x)
        return d_loss.numpy(), g_loss.numpy()

    def check(self) -> dict[str, np.ndarray]:
        d_loss, g_loss = self.call()
        moved = {}
        for letter, layers in self.layers.items():
            start = {name: _turn(name, array, layers) for name, array in self.start[letter].items()}
            now = {name: _turn(name, v.numpy(), layers) for name, v in self.weights[letter].items()}
            moved |= nhwc.updates({letter: start}, {letter: now}, self.layers)
        return {"d_loss": np.asarray(d_loss), "g_loss": np.asarray(g_loss), **moved}

    def reset(self) -> None:
        self.t.assign(0.0)
        for start, variable in self.kept.values():
            variable.assign(start)
        for letter, network in self.weights.items():
            for name, variable in network.items():
                variable.assign(self.start[letter][name])
                for slot in self.slots[letter][name]:
                    slot.assign(tf.zeros_like(slot))

    def _step(self, z: Any, x: Any, r1: bool) -> Any:
        g, d = self.weights["g/"], self.weights["d/"]
        kept = {name: variable for name, (_, variable) in self.kept.items()}
        self.t.assign_add(1.0)
        with tf.GradientTape(watch_accessed_variables=False) as g_tape:
            g_tape.watch(list(g.values()))
            fake = forward(self.layers["g/"], g, kept, z)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(d.values()))
            d_loss = self._d_loss(d, x, fake, r1)
        self._adam("d/", tape.gradient(d_loss, d))
        with tf.GradientTape() as tape:
            tape.watch(fake)
            g_loss = tf.reduce_mean(tf.nn.softplus(-forward(self.layers["d/"], d, {}, fake)))
        by_image = tape.gradient(g_loss, fake)
        self._adam("g/", g_tape.gradient(fake, g, output_gradients=by_image))
        return d_loss, g_loss

    def _d_loss(self, d: Any, x: Any, fake: Any, r1: bool) -> Any:
        layers = self.layers["d/"]
        with tf.GradientTape() as tape:
            tape.watch(x)
            real = forward(layers, d, {}, x)
            total = tf.reduce_sum(real)
        loss = tf.reduce_mean(tf.nn.softplus(-real))
        loss += tf.reduce_mean(tf.nn.softplus(forward(layers, d, {}, tf.stop_gradient(fake))))
        if r1:
            slope = tape.gradient(total, x)
            loss += _R1_GAMMA / 2 * tf.reduce_mean(tf.reduce_sum(tf.square(slope), (1, 2, 3)))
        return loss

    def _adam(self, letter: str, grads: Any) -> None:
        """torch.optim.Adam's formula; TensorFlow's own operator takes epsilon before the root is corrected."""
        first, second = (tf.pow(beta, self.t) for beta in _BETAS)
        for name, grad in grads.items():
            m, v = self.slots[letter][name]
            tf.raw_ops.ResourceApplyAdam(
                var=self.weights[letter][name].handle,
                m=m.handle,
                v=v.handle,
                beta1_power=first,
                beta2_power=second,
                lr=_RATE,
                beta1=_BETAS[0],
                beta2=_BETAS[1],
                epsilon=_ADAM_EPS * tf.sqrt(1 - second),
                grad=grad,
            )


def prepare(job: dict[str, Any], arrays: Arrays) -> GeneratorEngine:
    # Refused after the first operation: the threads of a process stay as they are.
    if tf.config.threading.get_intra_op_parallelism_threads() != job["threads"]:
        tf.config.threading.set_intra_op_parallelism_threads(job["threads"])
        tf.config.threading.set_inter_op_parallelism_threads(1)
    engine = (GeneratorEngine if job["task"] == "generator" else TrainingEngine)(job, arrays)
    engine.call()  # traces and compiles here, not in a round
    engine.reset()
    return engine
