"""Calls of frozen_generator's launcher in csrc/cuda on CPU tensors: the structs it takes, the memory it touches."""

import ctypes
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from fastgan.reference import frozen_generator as reference
from fastgan.reference.affine_act import ACTIVATIONS

from .conv_calls import Convolution, PackArguments

_TYPES = {"fp32": 0, "tf32": 0, "fp16": 2, "bf16": 3}  # ElementType of maps
_FLOAT = 0
_GUARD = 16384  # bytes behind what a launch may write
_MARK = 0xA5


class _Step(ctypes.Structure):
    """struct FrozenStepOf<const void*> of csrc/common/frozen_program.h."""

    _fields_ = [
        ("kind", ctypes.c_int64),
        ("shape", Convolution),
        ("weight", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("scale", ctypes.c_void_p),
        ("shift", ctypes.c_void_p),
        ("channels", ctypes.c_int64),
        ("by_label", ctypes.c_bool),
        ("activation", ctypes.c_int64),
        ("negative_slope", ctypes.c_double),
        ("index", ctypes.c_void_p),
        ("size", ctypes.c_int64),
    ]


class _Arguments(ctypes.Structure):
    """struct FrozenGeneratorArguments of csrc/cuda/frozen_generator.h."""

    _fields_ = [
        ("steps", ctypes.POINTER(_Step)),
        ("step_count", ctypes.c_int64),
        ("type", ctypes.c_int),
        ("precision", ctypes.c_int),
        ("images", ctypes.c_int64),
        ("z", ctypes.c_void_p),
        ("latent_size", ctypes.c_int64),
        ("labels", ctypes.c_void_p),
        ("classes", ctypes.c_int64),
        ("pixels", ctypes.c_bool),
        ("output", ctypes.c_void_p),
        ("workspace", ctypes.c_void_p),
    ]


class Plan(NamedTuple):
    """steps: those of the reference, over `tensors`; z float32 [N, F], c int64 [N] where there are classes."""

    steps: Sequence[reference.Step]
    tensors: Sequence[Tensor]
    z: Tensor
    c: Tensor | None = None
    classes: int = 0


class Call:
    """One call, its memory allocated and not yet run.

    tensors may be read, fresh must be written before it is read, and nothing behind it.
    """

    def __init__(self, library: ctypes.CDLL, plan: Plan, precision: str = "fp32", pixels: bool = False):
        self._library = library
        self._type, self._precision = _TYPES[precision], int(precision == "tf32")
        self._packs: list[PackArguments] = []
        self._memories: list[Tensor] = []
        self.tensors = [each for each in (plan.z, plan.c, *plan.tensors) if each is not None]
        self.fresh: list[Tensor] = []
        size, steps = plan.z.shape[1], (_Step * len(plan.steps))()
        for place, step in zip(steps, plan.steps, strict=True):
            size = self._describe(place, step, plan.tensors, size)
            place.size = size
        self._arguments = _Arguments(
            steps=steps,
            step_count=len(steps),
            type=self._type,
            precision=self._precision,
            images=len(plan.z),
            z=plan.z.data_ptr(),
            latent_size=plan.z.shape[1],
            labels=None if plan.c is None else plan.c.data_ptr(),
            classes=plan.classes,
            pixels=pixels,
        )
        workspace = self._new(self._number("frozen_generator_workspace", ctypes.byref(self._arguments)))
        bytes_of_number = 1 if pixels else 4
        output = self._new(len(plan.z) * size * bytes_of_number)
        self._arguments.workspace, self._arguments.output = workspace.data_ptr(), output.data_ptr()
        self._output = output.view(torch.uint8 if pixels else torch.float32).view(len(plan.z), size)

    def run(self) -> Tensor:
        """The rows [N, numbers], float32 or uint8. AssertionError where the launcher complains or writes elsewhere."""
        for pack in self._packs:
            self._launch("affine_act_conv_pack", pack)
        self._launch("frozen_generator", self._arguments)
        for memory in self._memories:
            assert (memory[-_GUARD:] == _MARK).all(), "something was written behind the end"
        return self._output

    def _describe(self, place: _Step, step: reference.Step, tensors: Sequence[Tensor], size: int) -> int:
        """Fill in `place`; numbers of the row that the step writes."""
        if isinstance(step, reference.Convolution):
            place.kind = 0
            place.shape = _convolution(step)
            place.weight = self._packed(tensors[step.weight], place.shape)
            place.bias = None if step.bias < 0 else tensors[step.bias].data_ptr()
            return torch.Size(step.result).numel()
        if isinstance(step, reference.Affine):
            place.kind, place.channels, place.by_label = 1, step.channels, step.classes > 0
            place.scale, place.shift = tensors[step.scale].data_ptr(), tensors[step.shift].data_ptr()
        elif isinstance(step, reference.Activation):
            place.kind, place.negative_slope = 2, step.negative_slope
            place.activation = ACTIVATIONS.index(step.kind)
        else:
            place.kind, place.index = 3, tensors[step.index].data_ptr()
        return size

    def _packed(self, weight: Tensor, shape: Convolution) -> int:
        """Memory for the weight as the kernels read it, which `run` writes."""
        packed = self._new(self._number("affine_act_conv_packed_bytes", self._type, ctypes.byref(shape)))
        out = 1 if shape.transposed else 0
        stride = (ctypes.c_int64 * 4)(*(weight.stride(i) for i in (out, 1 - out, 2, 3)))
        places = weight.data_ptr(), stride, packed.data_ptr()
        self._packs.append(PackArguments(self._type, self._precision, shape, _FLOAT, *places))
        return packed.data_ptr()

    def _new(self, size: int) -> Tensor:
        memory = torch.full((size + _GUARD,), _MARK, dtype=torch.uint8)
        memory[:size] = 0xFF  # NaN
        self._memories.append(memory)
        self.fresh.append(memory[:size])
        return memory[:size]

    def _launch(self, name: str, arguments: ctypes.Structure) -> None:
        function = getattr(self._library, f"fastgan_cuda_{name}")
        function.restype = ctypes.c_char_p
        said = function(ctypes.byref(arguments), None)
        assert said is None, said.decode()

    def _number(self, name: str, *arguments) -> int:
        function = getattr(self._library, f"fastgan_cuda_{name}")
        function.restype = ctypes.c_int64
        return function(*arguments)


def _convolution(step: reference.Convolution) -> Convolution:
    pair = ctypes.c_int64 * 2
    sides = step.source[:2], step.result[:2], step.kernel, step.stride, step.padding
    return Convolution(step.source[2], step.result[2], *(pair(*each) for each in sides), step.transposed)
