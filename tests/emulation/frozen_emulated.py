"""A subject of tests/cuda_host/frozen_checks.py: a frozen generator's kernels as nvcc compiles them, emulated."""

from pathlib import Path

from cuda_host.frozen_calls import Call

from .nvcc_kernels import CUDA_SOURCES, EmulatedLaunch, emulated, launchers
from .ptx import Order

ORDERS = (Order(), Order("descending", "shuffled", 3))
_CONVOLUTIONS = tuple(f"affine_act_conv{part}.cu" for part in ("", "_half", "_exact"))


class Emulated:
    """target: as of nvcc; sources: the folder of kernels, those of convolutions apart, which are csrc/cuda's.

    launches: those of the last run.
    """

    orders = len(ORDERS)

    def __init__(self, target: str, sources: Path = CUDA_SOURCES, count: bool = False):
        self._target, self._count = target, count
        self._sources = sources / "frozen_generator.cu", *(CUDA_SOURCES / name for name in _CONVOLUTIONS)
        self.launches: list[EmulatedLaunch] = []

    def call(self, *arguments, **options) -> Call:
        return Call(launchers(), *arguments, **options)

    def run(self, call: Call, order: int = 0):
        touched = self._sources, call.tensors, call.fresh, ORDERS[order]
        with emulated(self._target, *touched, self._count) as self.launches:
            return call.run()
