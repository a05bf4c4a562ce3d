"""The benchmarked networks as data: layers and numbered arrays that every engine builds the same network from.

Needs numpy alone: engines in a Python without torch read it too. A layer is a dict with a "kind"; arrays are named
"<index of the layer>.<weight, bias, running_mean or running_var>", as in the state dict of an `nn.Sequential`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

Layer = dict[str, Any]
Arrays = dict[str, np.ndarray]

SLOPE = 0.3
EPS = 1e-3
MOMENTUM = 0.01  # torch's sense
TAPS = 16  # of a 4x4 kernel; every convolution here has stride 2 and padding 1


def generator_layers(
    size: tuple[int, int] = (64, 64), channels: int = 3, width: int = 64, z_dim: int = 100, classes: int = 0
) -> list[Layer]:
    """Preset keras: z -> linear -> map of 4 to 7 pixels a side -> transposed 4x4 convolutions -> tanh."""
    doublings = _doublings(size)
    height, breadth = (side >> doublings for side in size)
    features = width << (doublings - 1)
    bn = {"kind": "batch_norm", "classes": classes}
    act = {"kind": "leaky_relu"}
    layers = [
        {"kind": "linear", "inner": z_dim, "outer": height * breadth * features, "bias": False},
        {**bn, "channels": height * breadth * features, "spatial": False},
        act,
        {"kind": "unflatten", "height": height, "width": breadth},
    ]
    for _ in range(doublings - 1):
        layers.append(_conv("conv_transpose", features, features // 2, height, breadth, bias=False))
        layers += [{**bn, "channels": features // 2, "spatial": True}, act]
        features, height, breadth = features // 2, height * 2, breadth * 2
    return [*layers, _conv("conv_transpose", features, channels, height, breadth, bias=True), {"kind": "tanh"}]


def discriminator_layers(size: tuple[int, int] = (64, 64), channels: int = 3, width: int = 64) -> list[Layer]:
    """Preset keras: image -> 4x4 convolutions of stride 2 -> logit [N, 1]."""
    height, breadth = size
    layers, inner = [], channels
    for i in range(max(2, _doublings(size) - 1)):
        outer = width * min(1 << i, 8)
        height, breadth = height // 2, breadth // 2
        layers += [_conv("conv", inner, outer, height, breadth, bias=True), {"kind": "leaky_relu"}]
        inner = outer
    return [
        *layers,
        {"kind": "flatten"},
        {"kind": "linear", "inner": inner * height * breadth, "outer": 1, "bias": True},
    ]


def _doublings(size: tuple[int, int]) -> int:
    side, count = min(size), 0
    while side >= 8:
        side, count = side // 2, count + 1
    return count


def _conv(kind: str, inner: int, outer: int, height: int, width: int, bias: bool) -> Layer:
    """`height`, `width`: of the smaller of its two maps, of which each pixel is multiplied by all taps."""
    return {"kind": kind, "inner": inner, "outer": outer, "height": height, "width": width, "bias": bias}


def layer_flops(layer: Layer) -> int:
    """Operations (a multiplication or an addition) of one image by direct convolution; 0 but for sums of products."""
    pixels = layer["height"] * layer["width"] * TAPS if layer["kind"].startswith("conv") else 1
    return 2 * layer["inner"] * layer["outer"] * pixels if "inner" in layer else 0


def flops(layers: list[Layer]) -> int:
    """Operations of one image through all layers by direct convolution."""
    return sum(map(layer_flops, layers))


def shapes(layers: list[Layer]) -> dict[str, tuple[int, ...]]:
    """The arrays that the layers need."""
    found: dict[str, tuple[int, ...]] = {}
    for i, layer in enumerate(layers):
        for name, shape in _SHAPES.get(layer["kind"], lambda _: {})(layer).items():
            found[f"{i}.{name}"] = shape
    return found


def _with_bias(layer: Layer, weight: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return {"weight": weight, **({"bias": (layer["outer"],)} if layer["bias"] else {})}


def _batch_norm_shapes(layer: Layer) -> dict[str, tuple[int, ...]]:
    row = (layer["channels"],)
    affine = (layer["classes"], *row) if layer["classes"] else row
    return {"weight": affine, "bias": affine, "running_mean": row, "running_var": row}


_SHAPES: dict[str, Callable[[Layer], dict[str, tuple[int, ...]]]] = {
    "linear": lambda layer: _with_bias(layer, (layer["outer"], layer["inner"])),
    "conv": lambda layer: _with_bias(layer, (layer["outer"], layer["inner"], 4, 4)),
    "conv_transpose": lambda layer: _with_bias(layer, (layer["inner"], layer["outer"], 4, 4)),
    "batch_norm": _batch_norm_shapes,
}


def random_arrays(layers: list[Layer], seed: int) -> Arrays:
    """Numbers from a seed, float32: He-scaled weights, so that no layer dies out, and batch norms that do something."""
    random = np.random.default_rng(seed)
    arrays = {}
    for name, shape in shapes(layers).items():
        layer = layers[int(name.partition(".")[0])]
        arrays[name] = _draw(random, layer, name.partition(".")[2], shape).astype(np.float32)
    return arrays


def _draw(random: np.random.Generator, layer: Layer, name: str, shape: tuple[int, ...]) -> np.ndarray:
    normal = random.standard_normal(shape)
    if layer["kind"] == "batch_norm":
        return {
            "weight": 1 + 0.2 * normal,
            "bias": 0.2 * normal,
            "running_mean": 0.2 * normal,
            "running_var": np.exp(0.3 * normal),
        }[name]
    if name == "bias":
        return 0.1 * normal
    # A transposed convolution of stride 2 reads 4 of its 16 taps for a pixel.
    fan_in = layer["inner"] * {"linear": 1, "conv": TAPS, "conv_transpose": TAPS / 4}[layer["kind"]]
    return normal * np.sqrt(1.5 / fan_in)


def fold(layers: list[Layer], arrays: Arrays) -> tuple[list[Layer], Arrays]:
    """The same function in evaluation without batch norms, in float64 and stored as float32.

    Mean and deviation go into the weights before them, the affine map too unless it depends on the class: then it
    stays behind as a layer "affine" with tables [classes, C].
    """
    out_layers: list[Layer] = []
    out: Arrays = {}
    for i, layer in enumerate(layers):
        mine = {name.partition(".")[2]: array for name, array in arrays.items() if name.startswith(f"{i}.")}
        if layer["kind"] != "batch_norm":
            out.update({f"{len(out_layers)}.{name}": array for name, array in mine.items()})
            out_layers.append(dict(layer))
            continue
        wide = {name: array.astype(np.float64) for name, array in mine.items()}
        scale = 1 / np.sqrt(wide["running_var"] + EPS)
        shift = -wide["running_mean"] * scale
        if not layer["classes"]:
            scale, shift = scale * wide["weight"], shift * wide["weight"] + wide["bias"]
        before = len(out_layers) - 1
        weight = out[f"{before}.weight"]
        axis = 1 if out_layers[before]["kind"] == "conv_transpose" else 0
        along = scale.reshape([-1 if d == axis else 1 for d in range(weight.ndim)])
        out[f"{before}.weight"] = (weight * along).astype(np.float32)
        out[f"{before}.bias"] = (out.get(f"{before}.bias", 0) * scale + shift).astype(np.float32)
        out_layers[before]["bias"] = True
        if layer["classes"]:
            here = len(out_layers)
            out_layers.append({**layer, "kind": "affine"})
            out |= {f"{here}.weight": mine["weight"], f"{here}.bias": mine["bias"]}
    return out_layers, out
