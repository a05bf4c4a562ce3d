"""Which tiles, warps and stages a kernel runs with: a table that is checked in, nothing is tried at run time.

A choice is a function of the operator, the architecture family, the precision and the class of the shape alone, so the
bits of a result do not depend on what else a process has run. The numbers were chosen by what compiles without
spilling registers, not by timing.
"""

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import torch
from fastgan.kernels.geometry import Correlation


class Configuration(NamedTuple):
    """BLOCK_M, BLOCK_N and BLOCK_K of a tile, GROUP rows of tiles at a time, warps and pipeline stages."""

    block_m: int
    block_n: int
    block_k: int
    group: int
    num_warps: int
    num_stages: int
    flat: bool = False  # K runs over taps and channels without gaps

    def constants(self) -> dict[str, int | bool]:
        """What a matrix kernel is launched with, by the names that it has there."""
        return {
            "BLOCK_M": self.block_m,
            "BLOCK_N": self.block_n,
            "BLOCK_K": self.block_k,
            "GROUP": self.group,
            "FLAT": self.flat,
            "num_warps": self.num_warps,
            "num_stages": self.num_stages,
        }


FAMILIES = ("sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120", "hip")
_SMALL_SHARED = ("sm_86", "sm_89", "sm_120", "hip")  # 99 KiB of shared memory a block, or 64
_IDLE = 256  # tiles below which a large device idles
_PROGRAMS = 512  # of the weight gradient, as many as K is split for
_LEAST_STEPS = 16  # of a split
_assumed = ["sm_80"]


# For each operator and precision ("half", "tf32", "ieee") the classes of shapes and their configurations.
_FLAT = {
    "flat": Configuration(64, 64, 16, 8, 8, 2, flat=True),
    "flat_narrow": Configuration(64, 16, 32, 8, 4, 2, flat=True),
    "odd": Configuration(64, 64, 16, 8, 8, 2),
    "narrow": Configuration(128, 16, 32, 8, 4, 3),
}
_IEEE = _FLAT | {
    "wide": Configuration(64, 64, 16, 8, 4, 3),
    "few": Configuration(64, 64, 16, 8, 4, 3),
    "flat_narrow": Configuration(64, 16, 16, 8, 8, 2, flat=True),
    "narrow": Configuration(64, 16, 32, 8, 4, 2),
    "odd": Configuration(32, 64, 16, 8, 4, 2),
}
_FORWARD = _FLAT | {"wide": Configuration(128, 128, 32, 8, 8, 3), "few": Configuration(64, 64, 32, 8, 4, 3)}
_FEW_TF32 = {"few": Configuration(64, 64, 16, 8, 4, 3)}
_HALF_AS_WIDE = {"wide": Configuration(128, 64, 32, 8, 8, 3)}
# The input gradient reads two maps a step and has more to do afterwards.
_FEW_GRAD = {"few": Configuration(64, 64, 32, 8, 8, 3)}
_TF32_GRAD = {"odd": _IEEE["odd"], "narrow": Configuration(64, 16, 16, 8, 8, 3)}
_IEEE_GRAD = Configuration(64, 64, 32, 8, 8, 2)
_WEIGHT_GRAD = {
    "wide": Configuration(128, 128, 32, 8, 8, 2),
    "few": Configuration(64, 64, 32, 8, 4, 3),
    "narrow": Configuration(16, 64, 32, 8, 4, 3),
}
_TABLE = {
    ("forward", "half"): _FORWARD,
    ("forward", "tf32"): _FORWARD | _FEW_TF32,
    ("forward", "ieee"): _IEEE,
    ("input_grad", "half"): _FLAT | _FEW_GRAD | _HALF_AS_WIDE | {"narrow": Configuration(128, 16, 32, 8, 4, 2)},
    ("input_grad", "tf32"): _FLAT | _FEW_GRAD | _TF32_GRAD | _HALF_AS_WIDE,
    ("input_grad", "ieee"): _IEEE | {"wide": _IEEE_GRAD, "few": _IEEE_GRAD},
    ("weight_grad", "half"): _WEIGHT_GRAD,
    ("weight_grad", "tf32"): _WEIGHT_GRAD,
    ("weight_grad", "ieee"): {
        "wide": Configuration(64, 64, 16, 8, 8, 2),
        "few": Configuration(64, 64, 16, 8, 8, 2),
        "narrow": Configuration(16, 64, 16, 8, 4, 2),
    },
}


def family(device: torch.device) -> str:
    """The architecture family that runs a launch on `device`; for CPU tensors the one that is assumed."""
    if device.type != "cuda":
        return _assumed[-1]
    if torch.version.hip:
        return "hip"
    major, minor = torch.cuda.get_device_capability(device)
    exact = f"sm_{major}{minor}"
    if exact in FAMILIES:
        return exact
    return {8: "sm_80", 9: "sm_90", 10: "sm_100", 11: "sm_100", 12: "sm_120"}.get(major, "sm_80")


@contextlib.contextmanager
def assume(name: str) -> Iterator[None]:
    """Launches on CPU tensors inside the block take the configurations of this family (outside: sm_80)."""
    if name not in FAMILIES:
        raise ValueError(f"assume: name must be one of {', '.join(FAMILIES)}, got {name!r}")
    _assumed.append(name)
    try:
        yield
    finally:
        _assumed.pop()


def for_convolution(op: str, family: str, precision: str, shape: Correlation) -> Configuration:
    """Of the forward pass ("forward") and of the input gradient ("input_grad") of one convolution.

    Classes of shapes: "narrow" for few output channels, "flat" and "flat_narrow" for few input channels, "odd" for
    channels that 16 bytes do not divide, which are read one by one, "wide" for the rest, and "few" where the tiles of
    "wide" would leave a large device idle.
    """
    table = _table(op, family, precision)
    even = shape.in_channels % 8 == 0 and shape.out_channels % 8 == 0
    if shape.out_channels <= 16:
        return _in_stages(table["narrow" if shape.in_channels % 8 == 0 else "flat_narrow"], shape)
    if not even:
        return _in_stages(table["flat" if shape.in_channels < 16 else "odd"], shape)
    wide = table["wide"]
    tiles = -(-shape.samples * shape.phase_pixels // wide.block_m) * -(-shape.out_channels // wide.block_n)
    return wide if tiles * shape.phases >= _IDLE else table["few"]


def _in_stages(config: Configuration, shape: Correlation) -> Configuration:
    """One stage where input channels are odd: nothing is copied ahead.

    Elements of 4 bytes would be copied one by one, and Triton 3.7 lays such copies out along the rows of a block while
    its threads follow the columns: 16 lanes to a bank, at the copy and again at the read. Halves never are copied so.
    """
    return config if shape.in_channels % 2 == 0 else config._replace(num_stages=1)


def for_weight_grad(family: str, precision: str, rows: int, columns: int) -> Configuration:
    """Of the weight gradient: rows are channels of the small map, columns taps times channels of the large one."""
    table = _table("weight_grad", family, precision)
    return table["narrow" if rows <= 16 else "few" if columns <= 64 or rows <= 64 else "wide"]


def _table(op: str, family: str, precision: str) -> dict[str, Configuration]:
    """The classes of one operator.

    With little shared memory two stages, and no wide tiles of 4 bytes an element; sm_100 spills with the widest.
    """
    table = _TABLE[op, precision]
    if family == "sm_100" and op == "forward":
        return table | _HALF_AS_WIDE
    if family not in _SMALL_SHARED:
        return table
    if precision != "half":
        table = table | {"wide": table["few"]}
    return {name: config._replace(num_stages=2) for name, config in table.items()}


def splits(pixels: int, block_k: int, tiles: int) -> tuple[int, int]:
    """(steps of one split, number of splits) of the weight gradient's K.

    As many as fill a large device with a few programs each, but none of less than _LEAST_STEPS steps.
    """
    steps = -(-pixels // block_k)
    wanted = max(1, min(_PROGRAMS // tiles, steps // _LEAST_STEPS))
    each = -(-steps // wanted)
    return each, -(-steps // each)
