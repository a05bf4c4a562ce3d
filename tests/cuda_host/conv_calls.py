"""Calls of affine_act_conv's launchers in csrc/cuda on CPU tensors: the structs they take, the memory they touch."""

import ctypes
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from support.chain_cases import Case
from torch import Tensor

from fastgan.reference.affine_act import ACTIVATIONS

_ELEMENT_TYPES = {torch.float32: 0, torch.float64: 1, torch.float16: 2, torch.bfloat16: 3}
_KERNELS = {torch.float16: "fp16", torch.bfloat16: "bf16", torch.float32: None, torch.float64: None}
_PAIR = ctypes.c_int64 * 2
_NAME = "fastgan_cuda_affine_act_conv"


class Convolution(ctypes.Structure):
    """struct Convolution of csrc/common/convolution.h."""

    _fields_ = [
        ("in_channels", ctypes.c_int64),
        ("out_channels", ctypes.c_int64),
        ("in_size", _PAIR),
        ("out_size", _PAIR),
        ("kernel", _PAIR),
        ("stride", _PAIR),
        ("padding", _PAIR),
        ("transposed", ctypes.c_bool),
    ]


class Arguments(ctypes.Structure):
    """struct AffineActConvArguments of csrc/cuda/affine_act_conv.h."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("precision", ctypes.c_int),
        ("shape", Convolution),
        ("images", ctypes.c_int64),
        ("input", ctypes.c_void_p),
        ("scale", ctypes.c_void_p),
        ("shift", ctypes.c_void_p),
        ("scale_by_sample", ctypes.c_bool),
        ("shift_by_sample", ctypes.c_bool),
        ("sample_rows", ctypes.c_void_p),
        ("activation", ctypes.c_int64),
        ("negative_slope", ctypes.c_float),
        ("weight", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("bias_type", ctypes.c_int),
        ("output_activation", ctypes.c_int64),
        ("output_slope", ctypes.c_float),
        ("pixels", ctypes.c_bool),
        ("output", ctypes.c_void_p),
        ("mean", ctypes.c_void_p),
        ("var", ctypes.c_void_p),
        ("workspace", ctypes.c_void_p),
        ("counters", ctypes.c_void_p),
    ]


class PackArguments(ctypes.Structure):
    """struct AffineActConvPackArguments of the same."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("precision", ctypes.c_int),
        ("shape", Convolution),
        ("weight_type", ctypes.c_int),
        ("weight", ctypes.c_void_p),
        ("stride", ctypes.c_int64 * 4),
        ("packed", ctypes.c_void_p),
        ("counters", ctypes.c_void_p),
        ("counter_count", ctypes.c_int64),
    ]


class Output(NamedTuple):
    """What becomes of y after its bias."""

    activation: str = "none"
    slope: float = 1.0
    pixels: bool = False


class Call:
    """One call of F, its memory allocated and not yet run.

    case: as of support.chain_cases; weight and bias may be float32 beside maps of halves.
    precision: "tf32" for tensor cores in float32.
    sample_rows: int64 [N], the rows of scale and shift that samples read.
    unaligned: the input begins 1 element behind 16 bytes.
    kernels: which are used, "fp16", "bf16", "tf32" or "ieee".
    tensors may be read and written; fresh holds what must be written before it is read.
    """

    def __init__(
        self,
        library: ctypes.CDLL,
        case: Case,
        precision: str = "",
        statistics: bool = True,
        output: Output = Output(),  # noqa: B008 (frozen)
        sample_rows: Tensor | None = None,
        unaligned: bool = False,
    ):
        self._library = library
        x, w, b, scale, shift = (each if each is None else each.detach() for each in case.tensors)
        transposed = case.kind == "conv_transpose2d"
        activation, slope, stride, padding, *_ = case.options
        self._shape = Convolution(
            x.shape[1],
            w.shape[1 if transposed else 0],
            _PAIR(*x.shape[2:]),
            _PAIR(*_output_size(case)),
            _PAIR(*w.shape[2:]),
            _PAIR(*stride),
            _PAIR(*padding),
            transposed,
        )
        self._type, self._precision = _ELEMENT_TYPES[x.dtype], int(precision == "tf32")
        self.kernels = _KERNELS[x.dtype] or precision or "ieee"
        self._weight, self._out_dimension = w, 1 if transposed else 0
        packed_bytes = self._function("packed_bytes", ctypes.c_int64)
        self._packed = torch.empty(packed_bytes(self._type, ctypes.byref(self._shape)), dtype=torch.uint8)
        maps = _nhwc(x, unaligned)
        channels = self._shape.out_channels
        memory = torch.empty(len(x), *self._shape.out_size, channels, dtype=torch.uint8 if output.pixels else x.dtype)
        self.y = memory.permute(0, 3, 1, 2)
        self.mean, self.var = (torch.empty(channels) if statistics else None for _ in range(2))
        self.arguments = Arguments(
            type=self._type,
            precision=self._precision,
            shape=self._shape,
            images=len(x),
            input=_pointer(maps),
            scale=_pointer(scale),
            shift=_pointer(shift),
            scale_by_sample=scale is not None and len(scale) > 1,
            shift_by_sample=shift is not None and len(shift) > 1,
            sample_rows=_pointer(sample_rows),
            activation=ACTIVATIONS.index(activation),
            negative_slope=slope,
            weight=_pointer(self._packed),
            bias=_pointer(b),
            bias_type=self._type if b is None else _ELEMENT_TYPES[b.dtype],
            output_activation=ACTIVATIONS.index(output.activation),
            output_slope=output.slope,
            pixels=output.pixels,
            output=_pointer(memory),
            mean=_pointer(self.mean),
            var=_pointer(self.var),
        )
        sizes = [self._function(name, ctypes.c_int64)(ctypes.byref(self.arguments)) for name in _SCRATCH]
        self.workspace = torch.empty(sizes[0], dtype=torch.uint8)
        self.counters = torch.empty(sizes[1], dtype=torch.int32)
        self.arguments.workspace, self.arguments.counters = _pointer(self.workspace), _pointer(self.counters)
        self.tensors = _there(maps, w, b, scale, shift, sample_rows)
        self.fresh = _there(self._packed, memory, self.mean, self.var, self.workspace, self.counters)

    def pack(self) -> None:
        """The weight, and clear the counters. Raises RuntimeError with the launcher's words."""
        out = self._out_dimension
        w = self._weight
        stride = (ctypes.c_int64 * 4)(w.stride(out), w.stride(1 - out), w.stride(2), w.stride(3))
        cleared = _pointer(self.counters), self.counters.numel()
        places = _ELEMENT_TYPES[w.dtype], _pointer(w), stride, _pointer(self._packed), *cleared
        self._launch("pack", PackArguments(self._type, self._precision, self._shape, *places))

    def run(self) -> None:
        """F, of the packed weight. Raises RuntimeError with the launcher's words."""
        self._launch("", self.arguments)

    def results(self) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Of both."""
        self.pack()
        self.run()
        return self.y, self.mean, self.var

    def _launch(self, name: str, arguments: ctypes.Structure) -> None:
        if words := self._function(name, ctypes.c_char_p)(ctypes.byref(arguments), None):
            raise RuntimeError(words.decode())

    def _function(self, name: str, result: type) -> Callable:
        function = getattr(self._library, f"{_NAME}_{name}" if name else _NAME)
        function.restype = result
        return function


_SCRATCH = ("workspace", "counters")


def _output_size(case: Case) -> list[int]:
    _, _, stride, padding, *extra = case.options
    x, w = case.tensors[:2]
    sides = zip(x.shape[2:], w.shape[2:], stride, padding, *extra, strict=True)
    if case.kind == "conv2d":
        return [(side + 2 * pad - k) // step + 1 for side, k, step, pad in sides]
    return [(side - 1) * step - 2 * pad + k + more for side, k, step, pad, more in sides]


def _nhwc(x: Tensor, unaligned: bool) -> Tensor:
    dense = x.permute(0, 2, 3, 1).contiguous()
    if not unaligned:
        return dense
    room = torch.empty(dense.numel() + 1, dtype=dense.dtype)
    room[1:] = dense.view(-1)
    return room[1:]


def _pointer(tensor: Tensor | None) -> int | None:
    return None if tensor is None or tensor.numel() == 0 else tensor.data_ptr()


def _there(*tensors: Tensor | None) -> Sequence[Tensor]:
    return [tensor for tensor in tensors if tensor is not None and tensor.numel()]
