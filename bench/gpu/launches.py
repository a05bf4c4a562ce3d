"""What operators cost on a GPU: launches, bytes that must move, operations; stock torch's and ours by the same rules.

An operator is so many launches. Each reads its operands from memory and writes its results once, whatever the caches
hold; partial results of reductions are left out, on both sides. Stock torch's convolution is one launch for its result
and one more for a bias, and one for each gradient; batch norm is one for statistics and one for the result; Adam with
`fused=True` is one for all parameters; an operator of numbers, vectors or maps is one. Views are none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fastgan.bench.gpu.trace import Array, Operation

_VIEWS = frozenset(
    {
        "aten.alias",
        "aten.as_strided",
        "aten.detach",
        "aten.empty",
        "aten.empty_like",
        "aten.empty_strided",
        "aten.expand",
        "aten.new_empty",
        "aten.new_empty_strided",
        "aten.permute",
        "aten.select",
        "aten.slice",
        "aten.split_with_sizes",
        "aten.squeeze",
        "aten.t",
        "aten.transpose",
        "aten.unsqueeze",
        "aten.view",
        "aten._unsafe_view",
        "prim.device",
        "profiler._record_function_enter_new",
        "profiler._record_function_exit",
    }
)


@dataclass(frozen=True)
class Launch:
    """One kernel. `matrix`: whether its operations are products of matrices, which tensor cores do."""

    kernel: str
    shapes: str
    read: int
    written: int
    operations: int = 0
    matrix: bool = False
    element: int = 2  # bytes of the elements it computes with

    @property
    def bytes(self) -> int:
        return self.read + self.written


def launches(operations: Sequence[Operation]) -> list[Launch]:
    """The launches of the operations, in order."""
    found: list[Launch] = []
    for operation in operations:
        if operation.name not in _VIEWS:
            found += _RULES.get(operation.name, _one)(operation)
    return found


def _launch(kernel: str, read: Sequence[Array | None], written: Sequence[Array | None], **more) -> Launch:
    read, written = ([each for each in arrays if each is not None and each.count] for arrays in (read, written))
    shapes = " ".join("x".join(map(str, array.shape)) or "1" for array in (*written, *read) if array.count > 1)
    return Launch(kernel, shapes, sum(a.bytes for a in read), sum(a.bytes for a in written), **more)


def _one(operation: Operation) -> list[Launch]:
    kernel = operation.name.partition(".")[2]
    return [_launch(kernel, operation.read, operation.written)]


def _filled(operation: Operation) -> list[Launch]:
    return [_launch("fill", (), operation.written)]


def _copied(operation: Operation) -> list[Launch]:
    return [_launch("copy", operation.read[-1:], operation.written)]


def _product(operation: Operation) -> list[Launch]:
    first, second = operation.read[-2:]
    work = 2 * first.count * second.shape[1]
    element = first.dtype.itemsize
    return [_launch("matmul", operation.read, operation.written, operations=work, matrix=True, element=element)]


def _convolution_work(one: Array, other: Array, weight: Array) -> dict:
    """Every pixel of the smaller map meets every tap."""
    pixels = min(a.count // a.shape[1] for a in (one, other))
    work = 2 * pixels * weight.count
    return {"operations": work, "matrix": True, "element": min(one.dtype.itemsize, weight.dtype.itemsize)}


def _convolution(operation: Operation) -> list[Launch]:
    x, weight, bias = operation.arguments[:3]
    (y,) = operation.results
    found = [_launch("convolution", (x, weight), (y,), **_convolution_work(x, y, weight))]
    return found if bias is None else [*found, _launch("convolution bias", (y, bias), (y,))]


def _convolution_backward(operation: Operation) -> list[Launch]:
    dy, x, weight = operation.arguments[:3]
    dx, dw, db = operation.results
    work = _convolution_work(x, dy, weight)
    found = []
    if dx is not None:
        found.append(_launch("convolution input grad", (dy, weight), (dx,), **work))
    if dw is not None:
        found.append(_launch("convolution weight grad", (dy, x), (dw,), **work))
    if db is not None:
        found.append(_launch("convolution bias grad", (dy,), (db,)))
    return found


def _batch_norm(operation: Operation) -> list[Launch]:
    x, *vectors = operation.read
    y, *statistics = operation.written
    running = vectors[2:4]
    return [
        _launch("batch norm statistics", (x, *running), (*statistics, *running)),
        _launch("batch norm apply", (x, *vectors[:2], *statistics), (y,)),
    ]


def _batch_norm_backward(operation: Operation) -> list[Launch]:
    dy, x, *vectors = operation.read
    dx, *reduced = operation.written
    return [
        _launch("batch norm reduce", (dy, x, *vectors), reduced),
        _launch("batch norm input grad", (dy, x, *vectors, *reduced), (dx,)),
    ]


def _fused_adam(operation: Operation) -> list[Launch]:
    parameters, gradients, first, second = operation.arguments[:4]
    return [_launch("Adam", (*parameters, *gradients, *first, *second), (*parameters, *first, *second))]


def _chain(operation: Operation) -> list[Launch]:
    x, weight, bias, scale, shift = operation.arguments[:5]
    y, mean, var = operation.results
    kernel = operation.name.partition(".")[2]
    return [_launch(kernel, (x, weight, bias, scale, shift), (y, mean, var), **_convolution_work(x, y, weight))]


def _chain_backward(operation: Operation) -> list[Launch]:
    gy, gmean, gvar, x, weight, bias, scale, shift, y, mean = operation.arguments[:10]
    dx, dw, db, ds, dt = operation.results
    kernel = operation.name.partition(".")[2].removesuffix("_backward")
    dy = (gy, gmean, *((gvar, y, mean, bias) if gvar is not None else ()))
    affine = scale, shift
    found = []
    if dx.count or ds.count or dt.count:
        reads_x = x if operation.arguments[10] != "none" or ds.count else None
        work = _convolution_work(dx if dx.count else x, gy if gy is not None else y, weight)
        found.append(_launch(f"{kernel} input grad", (*dy, weight, reads_x, *affine), (dx, ds, dt), **work))
    with_bias = db if dw.count and not kernel.startswith("affine_act_conv_transpose2d") else None
    if dw.count:
        work = _convolution_work(x, gy if gy is not None else y, dw)
        found.append(_launch(f"{kernel} weight grad", (*dy, x, *affine), (dw, with_bias), **work))
    if db.count and with_bias is None:
        found.append(_launch(f"{kernel} bias grad", (gy,), (db,)))
    return found


_RULES: dict[str, Callable[[Operation], list[Launch]]] = {
    **dict.fromkeys(("aten.zeros", "aten.zeros_like", "aten.ones_like", "aten.full", "aten.full_like"), _filled),
    "aten.copy_": _copied,
    **dict.fromkeys(("aten.mm", "aten.addmm"), _product),
    "aten.convolution": _convolution,
    "aten.convolution_backward": _convolution_backward,
    "aten.native_batch_norm": _batch_norm,
    "aten.native_batch_norm_backward": _batch_norm_backward,
    "aten._fused_adam_": _fused_adam,
    **dict.fromkeys(("fastgan.affine_act_conv2d", "fastgan.affine_act_conv_transpose2d"), _chain),
    **dict.fromkeys(
        ("fastgan.affine_act_conv2d_backward", "fastgan.affine_act_conv_transpose2d_backward"), _chain_backward
    ),
}
