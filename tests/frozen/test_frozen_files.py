"""Files of format frozen/1: the same bytes out as in, readable from their description, and refused when damaged."""

import json
import struct

import numpy as np
import pytest
import torch
from frozen_models import inputs, make, used
from torch import nn

import fastgan
from fastgan.errors import DataError
from fastgan.frozen import export, load, save
from fastgan.models import Generator

NAMES = ["keras 28x28x1, ten classes", "dcgan 64x64x3", "keras 40x64x4, one class"]


@pytest.mark.parametrize("output", ["float", "uint8"])
@pytest.mark.parametrize("name", NAMES)
def test_a_file_gives_the_same_bytes(name, output, each_arithmetic, tmp_path):
    frozen = fastgan.freeze(make(name), output)
    path = save(frozen, tmp_path / "generator.safetensors")
    read = load(path)
    assert torch.equal(read(*inputs(frozen, 9)), frozen(*inputs(frozen, 9)))
    assert (read.plan, read.output, read.precision) == (frozen.plan, output, "fp32")
    done = export(read, tmp_path / "again")
    assert done.path.read_bytes() == path.read_bytes() and done.max_difference == 0


def test_a_permutation_is_kept(tmp_path, each_arithmetic):
    class Shuffled(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = nn.ConvTranspose2d(5, 8, 4, 2, 1)

        def forward(self, z):
            return self.up(z).transpose(2, 3).unflatten(1, (2, 4)).transpose(1, 2).flatten(1, 2)

    frozen = fastgan.freeze(used(Shuffled()), input_shape=(5, 2, 3), batch_invariant=False)
    read = load(save(frozen, tmp_path / "generator"))
    z = torch.randn(2, 5, 2, 3)
    assert torch.equal(read(z), frozen(z)) and read.batch_invariant is False


def header(path) -> tuple[dict, dict, bytes]:
    """The parts of a safetensors file, read by hand: entries, the plan, the numbers."""
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    entries = json.loads(data[8 : 8 + size])
    return entries, json.loads(entries.pop("__metadata__")["fastgan"]), data[8 + size :]


def run_by_hand(path, z: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Images [N, H, W, C] from nothing but docs/formats.md, in NumPy."""
    entries, plan, data = header(path)
    tensors = {}
    for name, entry in entries.items():
        assert entry["dtype"] == "F32"
        tensors[name] = np.frombuffer(data[slice(*entry["data_offsets"])], "<f4").reshape(entry["shape"])
    rows = z
    for step in plan["steps"]:
        if step["kind"] == "convolution":
            rows = convolve_by_hand(rows, step, tensors)
        elif step["kind"] == "affine":
            scale, shift = (tensors[step[k]][c] if step["classes"] else tensors[step[k]] for k in ("scale", "shift"))
            maps = rows.reshape(len(rows), -1, step["channels"])
            rows = (maps * scale[:, None] + shift[:, None]).reshape(len(rows), -1)
        elif step["activation"] == "tanh":
            rows = np.tanh(rows)
        else:
            slope = step["negative_slope"] if step["activation"] == "leaky_relu" else 0.0
            rows = np.where(rows > 0, rows, slope * rows)
    channels, height, width = plan["image"]
    return rows.reshape(len(rows), height, width, channels)


def convolve_by_hand(rows: np.ndarray, step: dict, tensors: dict) -> np.ndarray:
    height, width, inside = step["source"]
    high, wide, outside = step["result"]
    x, weight = rows.reshape(-1, height, width, inside), tensors[step["weight"]]
    result = np.zeros((len(x), high, wide, outside), np.float64)
    for out_y, out_x, tap_y, tap_x in np.ndindex(high, wide, *step["kernel"]):
        at = []
        for o, tap, axis in ((out_y, tap_y, 0), (out_x, tap_x, 1)):
            stride, padding = step["stride"][axis], step["padding"][axis]
            i, rest = divmod(o + padding - tap, stride) if step["transposed"] else (o * stride - padding + tap, 0)
            at.append(i if rest == 0 and 0 <= i < step["source"][axis] else None)
        if None not in at:
            matrix = weight[:, :, tap_y, tap_x] if step["transposed"] else weight[:, :, tap_y, tap_x].T
            result[:, out_y, out_x] += x[:, at[0], at[1]] @ matrix
    bias = 0 if step["bias"] is None else tensors[step["bias"]]
    return (result + bias).reshape(len(x), -1)


@pytest.mark.parametrize("preset", ["keras", "dcgan"])
def test_the_description_is_enough_to_run_it(preset, tmp_path):
    model = used(Generator((8, 8), 3, 6, 4, 3, preset).init_weights(1))
    frozen = fastgan.freeze(model)
    z, c = inputs(frozen, 4)
    by_hand = run_by_hand(save(frozen, tmp_path / "generator"), z.numpy(), c.numpy())
    assert np.abs(by_hand - frozen(z, c).permute(0, 2, 3, 1).numpy()).max() < 1e-5


def test_the_head_says_what_it_is(tmp_path):
    frozen = fastgan.freeze(make(NAMES[0]), "uint8")
    _, plan, _ = header(save(frozen, tmp_path / "generator"))
    assert plan.pop("fastgan") == fastgan.__version__
    steps = plan.pop("steps")
    assert plan == {
        **{"format": "frozen/1", "input_shape": [20], "image": [1, 28, 28], "num_classes": 10},
        **{"output": "uint8", "batch_invariant": True, "precision": "fp32"},
    }
    assert steps[1] == {"kind": "affine", "scale": "scale1", "shift": "shift1", "channels": 784, "classes": 10}
    assert steps[2] == {"kind": "activation", "activation": "leaky_relu", "negative_slope": 0.3}


def cut(data: bytes) -> bytes:
    return data[:-100]


DAMAGE = {
    "cut": (cut, "cannot be read as a frozen generator"),
    "text": (lambda data: b"no safetensors", "cannot be read as a frozen generator"),
    "format": (lambda data: data.replace(b"frozen/1", b"frozen/7"), "has format 'frozen/7', this version"),
    "no plan": (lambda data: data.replace(b"fastgan", b"gastfan"), "has format None"),
    "step": (lambda data: data.replace(b"affine", b"refine"), "holds no whole plan"),
    "tensor": (lambda data: data.replace(b'"scale1\\"', b'"scale9\\"'), "holds no whole plan"),
    "field": (lambda data: data.replace(b"padding", b"paddong"), "holds no whole plan"),
    "missing": (None, "does not exist; `fastgan export` writes one"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_named_in_a_sentence(damage, tmp_path):
    change, sentence = DAMAGE[damage]
    path = tmp_path / "generator"
    if change is not None:
        data = save(fastgan.freeze(make(NAMES[0])), path).read_bytes()
        assert change(data) != data
        path.write_bytes(change(data))
    with pytest.raises(DataError, match=sentence) as error:
        load(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
