"""A subject of tests/cuda_host/conv_checks.py: the convolutions of csrc/cuda as nvcc compiles them, emulated."""

from collections.abc import Callable
from pathlib import Path

from cuda_host.conv_calls import Call

from .nvcc_kernels import CUDA_SOURCES, EmulatedLaunch, emulated, launchers
from .ptx import Order

# Several warps at a time, one after the other from the first and from the last, and blocks that are behind.
ORDERS = (Order(), Order("ascending", "reverse"), Order("descending", "shuffled", 3), Order("straggling"))
_BY_PRECISION = {"fp16": "half", "bf16": "bfloat16", "tf32": "tf32", "ieee": "exact"}
_STEM = "affine_act_conv"


class Emulated:
    """target: as of nvcc; sources: the folder of kernels; edit: their PTX into what runs instead.

    launches: those of the last run, the packing of the weight and the convolution.
    """

    orders = len(ORDERS)

    def __init__(
        self, target: str, sources: Path = CUDA_SOURCES, edit: Callable[[str], str] = str, count: bool = False
    ):
        self._target, self._sources, self._edit, self._count = target, sources, edit, count
        self.launches: list[EmulatedLaunch] = []

    def call(self, *arguments, **options) -> Call:
        return Call(launchers(), *arguments, **options)

    def run(self, call: Call, order: int = 0):
        sources = [self._sources / f"{name}.cu" for name in (f"{_STEM}_{_BY_PRECISION[call.kernels]}", _STEM)]
        with emulated(
            self._target, sources, call.tensors, call.fresh, ORDERS[order], self._count, self._edit
        ) as self.launches:
            return call.results()
