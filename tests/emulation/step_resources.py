"""What the convolution kernels of the benchmarked training step need on the devices of `fastgan bench gpu-model`.

    python -m tests.emulation.step_resources > bench/gpu/resources.json

Preset keras, batch 128, float16 maps and float32 weights: every launch that the step has is taken from its launcher
and compiled for each target. Nothing is run. A test compares the file with what the compiler gives.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

import torch
from fastgan.bench.gpu.devices import DEVICES
from fastgan.bench.network import discriminator_layers, generator_layers
from fastgan.kernels import configurations
from fastgan.kernels.affine_act_conv import affine_act_conv
from fastgan.kernels.affine_act_conv_input_grad import affine_act_conv_input_grad
from fastgan.kernels.affine_act_conv_weight_grad import affine_act_conv_weight_grad

from .capture import Launch, capture
from .resources import resources

BATCH = 128
SLOPE = 0.3
_GEOMETRY = (2, 2), (1, 1)
_LEAKY_RELU = 1


def launches(target: str) -> Iterator[tuple[str, Launch]]:
    """(what for, launch) of every convolution and gradient of the step."""
    with configurations.assume(target):
        for layers in (generator_layers(), discriminator_layers()):
            convolutions = [layer for layer in layers if layer["kind"].startswith("conv")]
            for place, layer in enumerate(convolutions):
                yield from _of_layer(layer, place, layer is convolutions[-1])


def _of_layer(layer: dict[str, Any], place: int, last: bool) -> Iterator[tuple[str, Launch]]:
    transposed = layer["kind"] == "conv_transpose"
    small, inner, outer = (layer["height"], layer["width"]), layer["inner"], layer["outer"]
    large = tuple(2 * side for side in small)
    in_size, out_size = (small, large) if transposed else (large, small)
    x, y = (_map(channels, size) for channels, size in ((inner, in_size), (outer, out_size)))
    shape = (inner, outer, 4, 4) if transposed else (outer, inner, 4, 4)
    w = torch.empty(shape).contiguous(memory_format=torch.channels_last)
    bias = torch.empty(outer) if layer["bias"] else None
    statistics = transposed and not last
    scale, shift = (torch.empty(1, inner) if transposed and place else None for _ in range(2))
    affine = scale, shift, _LEAKY_RELU if place else 0, SLOPE
    dy = y, None, None, None, None, bias
    if statistics:
        dy = y, torch.empty(outer), torch.empty(outer), y, torch.empty(outer), None
    with_vectors = scale is not None
    calls = {"": lambda: affine_act_conv(x, w, bias, *affine, *_GEOMETRY, out_size, transposed, statistics)}
    if transposed or place:
        calls["input grad"] = lambda: affine_act_conv_input_grad(
            *dy, w, x, *affine, *_GEOMETRY, in_size, transposed, True, with_vectors, with_vectors
        )
    calls["weight grad"] = lambda: affine_act_conv_weight_grad(
        *dy, x, *affine, *_GEOMETRY, (4, 4), transposed, dtype=w.dtype, bias_dtype=None if bias is None else bias.dtype
    )
    name = f"{'conv_transpose2d' if transposed else 'conv2d'} {inner} to {outer} at {out_size[0]}x{out_size[1]}"
    for which, call in calls.items():
        with capture() as taken:
            call()
        for launch in taken:
            yield f"{name} {which}".strip(), launch


def _map(channels: int, size: tuple[int, int]) -> torch.Tensor:
    return torch.empty(BATCH, channels, *size, dtype=torch.float16, memory_format=torch.channels_last)


def table() -> list[dict[str, Any]]:
    """A row per launch and target: registers of a thread, shared bytes and warps of a block."""
    rows = []
    for device in DEVICES:
        for name, launch in launches(device.target):
            compiled = launch.compile(device.target)
            needs = resources(compiled)
            rows.append(
                {
                    "launch": name,
                    "target": device.target,
                    "registers": needs.registers,
                    "spills": needs.spills,
                    "shared": needs.shared,
                    "warps": compiled.metadata["num_warps"],
                }
            )
    return rows


if __name__ == "__main__":
    lines = ",\n  ".join(json.dumps(row) for row in table())
    sys.stdout.write(f'{{"batch": {BATCH}, "precision": "fp16", "rows": [\n  {lines}\n]}}\n')
