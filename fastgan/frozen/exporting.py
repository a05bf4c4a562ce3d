"""A frozen generator for others: its own file, ONNX, or a program of torch.export; checked before it is written."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fastgan import noise
from fastgan.errors import OutputError
from fastgan.files import write_bytes
from fastgan.frozen.generator import FrozenGenerator
from fastgan.frozen.stock import stock_generator

__all__ = ["FORMATS", "Exported", "export"]

FORMATS = {"fastgan": ".safetensors", "onnx": ".onnx", "torch": ".pt2"}

_TOLERANCE = 1e-4  # of images in [-1, 1]: a hundred times the rounding of float32, a hundredth of a grey level
_BATCHES = (1, 7)  # that a written program is tried with


class Exported(NamedTuple):
    """What was written. max_difference: from the frozen generator's own images, in their unit; 0 for the same bytes."""

    path: Path
    format: str
    bytes: int
    max_difference: float


def export(frozen: FrozenGenerator, path: str | Path, format: str = "fastgan", *, overwrite: bool = False) -> Exported:
    """Write `frozen` to `path`; the Python twin of `fastgan export`.

    format: "fastgan", a file that `fastgan.frozen.load` reads back to the same bytes; "onnx", a model with inputs z
    and (with classes) c and output images; "torch", a program that `torch.export.load` reads without fastgan. The last
    two are of stock operators, take any N, and are run before anything is written: in ONNX Runtime, and in torch.

    Raises ValueError for an unknown format or a precision other than fp32; OutputError where `path` is taken and
    `overwrite` is not set, where packages are missing, or where the program gives other images.
    """
    path = Path(path)
    if format not in FORMATS:
        raise ValueError(f"export: format must be one of {', '.join(FORMATS)}, got {format!r}")
    if format != "fastgan" and frozen.precision != "fp32":
        raise ValueError(f"export: precision must be fp32 for format {format}, got {frozen.precision!r}")
    if path.is_dir() or (path.exists() and not overwrite):
        raise OutputError(f"{path} is there already; choose another --out, or replace it with --overwrite")
    data, difference = _WRITERS[format](frozen)
    write_bytes(path, data)
    return Exported(path, format, len(data), difference)


def _fastgan(frozen: FrozenGenerator) -> tuple[bytes, float]:
    return _needed("safetensors", "fastgan.frozen.storage").to_bytes(frozen), 0.0


def _torch(frozen: FrozenGenerator) -> tuple[bytes, float]:
    buffer = io.BytesIO()
    torch.export.save(_program(frozen), buffer)
    buffer.seek(0)
    return buffer.getvalue(), _check(frozen, torch.export.load(buffer).module(), "torch")


def _onnx(frozen: FrozenGenerator) -> tuple[bytes, float]:
    for package in ("onnx", "onnxscript"):
        _needed(package, package)
    runtime = _needed("onnxruntime", "onnxruntime")
    with _quiet():
        model = torch.onnx.export(
            _program(frozen),
            input_names=["z", "c"] if frozen.num_classes else ["z"],
            output_names=["images"],
            verbose=False,
        )
    data = model.model_proto.SerializeToString()
    session = runtime.InferenceSession(data, providers=["CPUExecutionProvider"])

    def images(z: Tensor, *labels: Tensor) -> Tensor:
        inputs = dict(zip(("z", "c"), (each.numpy() for each in (z, *labels)), strict=False))
        return torch.from_numpy(session.run(["images"], inputs)[0])

    return data, _check(frozen, images, "ONNX Runtime")


_WRITERS: dict[str, Callable[[FrozenGenerator], tuple[bytes, float]]] = {
    "fastgan": _fastgan,
    "onnx": _onnx,
    "torch": _torch,
}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporter says about itself and absent packages from the user."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _program(frozen: FrozenGenerator) -> torch.export.ExportedProgram:
    samples = torch.export.Dim("N", min=1)
    inputs = _inputs(frozen, 2)
    with torch.no_grad():
        return torch.export.export(
            stock_generator(frozen), inputs, dynamic_shapes=tuple({0: samples} for _ in inputs), strict=False
        )


def _inputs(frozen: FrozenGenerator, count: int) -> tuple[Tensor, ...]:
    """Latents and labels to try a program with, as the model takes them."""
    z = torch.from_numpy(noise.normal(0, noise.Stream.TEST, 0, count, frozen.z_dim))
    z = z.unflatten(1, frozen.plan.input_shape)
    return (z, torch.arange(count) % frozen.num_classes) if frozen.num_classes else (z,)


def _check(frozen: FrozenGenerator, images: Callable[..., Tensor], where: str) -> float:
    """The largest difference of `images` from the frozen generator's; refuses one that rounding does not make."""
    frozen = FrozenGenerator(frozen.plan, [each.cpu() for each in frozen.tensors()], frozen.output)
    largest = 0.0
    for count in _BATCHES:
        inputs = _inputs(frozen, count)
        with torch.no_grad():
            expected, got = frozen(*inputs), images(*inputs)
        if got.shape != expected.shape or got.dtype != expected.dtype:
            raise OutputError(
                f"export: the program gives {got.dtype} {list(got.shape)} in {where} instead of "
                f"{expected.dtype} {list(expected.shape)}; nothing was written"
            )
        difference = (got.double() - expected.double()).abs().max().item()
        # Pixels on the edge between two levels may fall to either side.
        if not difference <= (1.0 if frozen.output == "uint8" else _TOLERANCE * max(1.0, expected.abs().max().item())):
            raise OutputError(
                f"export: images of a batch of {count} differ by {difference:.3g} in {where}; nothing was written"
            )
        largest = max(largest, difference)
    return largest


def _needed(package: str, module: str) -> Any:
    """The module, or a sentence that says how to get the package behind it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "fastgan":
            raise
        raise OutputError(
            f"export: this format needs the package {package!r}; in a clone of fastgan: pip install '.[export]'"
        ) from None
