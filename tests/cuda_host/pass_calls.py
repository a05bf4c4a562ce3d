"""Calls of the launchers of affine_act and gan_loss in csrc/cuda on CPU tensors: the structs, the memory they touch."""

import ctypes
from typing import Any

import torch
from torch import Tensor

from fastgan.reference.affine_act import ACTIVATIONS, widened
from fastgan.reference.gan_loss import FAMILIES, PAIRED

_ELEMENT_TYPES = {torch.float32: 0, torch.float64: 1, torch.float16: 2, torch.bfloat16: 3}
_LOSS_TILE, _LOSS_SUMS = 1024, 7


class _MapShape(ctypes.Structure):
    """struct MapShape of csrc/common/map_shape.h."""

    _fields_ = [
        ("images", ctypes.c_int64),
        ("channels", ctypes.c_int64),
        ("pixels", ctypes.c_int64),
        ("channels_last", ctypes.c_bool),
    ]


class _Rows(ctypes.Structure):
    """struct Rows of csrc/common/affine_act_arguments.h."""

    _fields_ = [("data", ctypes.c_void_p), ("row_stride", ctypes.c_int64)]


class _AffineAct(ctypes.Structure):
    """struct AffineAct of the same."""

    _fields_ = [
        ("scale", _Rows),
        ("shift", _Rows),
        ("activation", ctypes.c_int64),
        ("negative_slope", ctypes.c_double),
    ]


class _Forward(ctypes.Structure):
    """struct AffineActArguments of the same."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("shape", _MapShape),
        ("input", ctypes.c_void_p),
        ("affine", _AffineAct),
        ("pixels", ctypes.c_bool),
        ("output", ctypes.c_void_p),
    ]


class _Backward(ctypes.Structure):
    """struct AffineActBackwardArguments of the same."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("shape", _MapShape),
        ("grad_output", ctypes.c_void_p),
        ("input", ctypes.c_void_p),
        ("affine", _AffineAct),
        ("d_input", ctypes.c_void_p),
        ("d_scale", ctypes.c_void_p),
        ("d_shift", ctypes.c_void_p),
    ]


class _GanLoss(ctypes.Structure):
    """struct GanLossArguments of csrc/common/gan_loss.h."""

    _fields_ = [
        ("family", ctypes.c_int64),
        ("type", ctypes.c_int),
        ("real", ctypes.c_void_p),
        ("real_count", ctypes.c_int64),
        ("fake", ctypes.c_void_p),
        ("fake_count", ctypes.c_int64),
        ("d_loss", ctypes.c_void_p),
        ("g_loss", ctypes.c_void_p),
        ("statistics", ctypes.c_void_p),
        ("d_grad_real", ctypes.c_void_p),
        ("d_grad_fake", ctypes.c_void_p),
        ("g_grad_real", ctypes.c_void_p),
        ("g_grad_fake", ctypes.c_void_p),
    ]


class Call:
    """One call, its memory allocated and not yet run: tensors may be read, fresh must be written before.

    results: by name, each of them among `fresh`.
    """

    def __init__(self, function: str, arguments: ctypes.Structure, tensors: list, results: dict[str, Tensor | None]):
        self.tensors = [each for each in tensors if each is not None and each.numel() > 0]
        self.results = {name: each for name, each in results.items() if each is not None}
        self.fresh = list(self.results.values())
        self._function, self._arguments, self._scratch = function, arguments, []

    def with_scratch(self, doubles: int) -> "Call":
        """Memory that the launcher works in, at the end of `fresh`."""
        self._scratch = [torch.empty(max(doubles, 1), dtype=torch.float64)]
        self.fresh += self._scratch
        return self

    def run(self, library: ctypes.CDLL) -> dict[str, Tensor]:
        """AssertionError where the launcher says that something is wrong."""
        launcher = getattr(library, self._function)
        launcher.restype = ctypes.c_char_p
        scratch = [ctypes.c_void_p(each.data_ptr()) for each in self._scratch]
        said = launcher(ctypes.byref(self._arguments), *scratch, None)
        assert said is None, said.decode()
        return self.results


def affine_act(x, scale, shift, activation: str, negative_slope: float, pixels: bool = False) -> Call:
    """x [N, C, ...] dense, in NHWC or NCHW memory; scale, shift [1 or N, C] or None."""
    memory_format = torch.channels_last if pixels else torch.preserve_format
    z = torch.empty_like(x, dtype=torch.uint8 if pixels else x.dtype, memory_format=memory_format)
    arguments = _Forward(
        type=_ELEMENT_TYPES[x.dtype],
        shape=_shape(x),
        input=_pointer(x),
        affine=_affine(scale, shift, activation, negative_slope),
        pixels=pixels,
        output=_pointer(z),
    )
    return Call("fastgan_cuda_affine_act", arguments, [x, scale, shift], {"z": z})


def affine_act_backward(
    library: ctypes.CDLL, dz, x, scale, shift, activation: str, negative_slope: float, needed=(True, True, True)
) -> Call:
    """dz and x lie in the same memory layout; x may be None where it is not read."""
    dx = torch.empty_like(dz) if needed[0] else None
    ds, dt = (
        torch.empty_like(each) if each is not None and want else None
        for each, want in zip((scale, shift), needed[1:], strict=True)
    )
    arguments = _Backward(
        type=_ELEMENT_TYPES[dz.dtype],
        shape=_shape(dz),
        grad_output=_pointer(dz),
        input=_pointer(x),
        affine=_affine(scale, shift, activation, negative_slope),
        d_input=_pointer(dx),
        d_scale=_pointer(ds),
        d_shift=_pointer(dt),
    )
    size = library.fastgan_cuda_affine_act_partial
    size.restype = ctypes.c_int64
    call = Call("fastgan_cuda_affine_act_backward", arguments, [dz, x, scale, shift], {"dx": dx, "ds": ds, "dt": dt})
    return call.with_scratch(size(ctypes.byref(arguments)))


def gan_loss(real: Tensor | None, fake: Tensor, family: str) -> Call:
    wide, count = widened(fake.dtype), 0 if real is None else real.numel()
    shapes: dict[str, Any] = {
        "d_loss": (),
        "g_loss": (),
        "statistics": (4,),
        "d_grad_real": None if real is None else real.shape,
        "d_grad_fake": fake.shape,
        "g_grad_real": real.shape if family in PAIRED else None,
        "g_grad_fake": fake.shape,
    }
    results = {name: None if shape is None else torch.empty(shape, dtype=wide) for name, shape in shapes.items()}
    arguments = _GanLoss(
        family=FAMILIES.index(family),
        type=_ELEMENT_TYPES[fake.dtype],
        real=_pointer(real),
        real_count=count,
        fake=_pointer(fake),
        fake_count=fake.numel(),
        **{name: _pointer(each) for name, each in results.items()},
    )
    tiles = -(-max(count, fake.numel()) // _LOSS_TILE)
    return Call("fastgan_cuda_gan_loss", arguments, [real, fake], results).with_scratch(tiles * _LOSS_SUMS)


def _shape(x: Tensor) -> _MapShape:
    pixels = x[0, 0].numel() if x.numel() else 0
    last = x.ndim == 4 and not x.is_contiguous()
    return _MapShape(x.shape[0], x.shape[1], pixels, last or pixels == 1)


def _affine(scale: Tensor | None, shift: Tensor | None, activation: str, negative_slope: float) -> _AffineAct:
    return _AffineAct(_rows(scale), _rows(shift), ACTIVATIONS.index(activation), negative_slope)


def _rows(vector: Tensor | None) -> _Rows:
    return _Rows(_pointer(vector), 0 if vector is None or len(vector) == 1 else vector.shape[1])


def _pointer(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
