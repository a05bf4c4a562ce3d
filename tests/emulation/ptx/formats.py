"""Number formats of PTX: how registers hold them and how they round.

Arithmetic on f16 and bf16 is done in float32 and rounded once more, which is exact for + - * / sqrt:
float32 has more than twice their digits and two (Figueroa, "When is double rounding innocuous?", 1995).
"""

from dataclasses import dataclass

import numpy as np

from .errors import EmulationError

UNSIGNED = {8: np.uint8, 16: np.uint16, 32: np.uint32, 64: np.uint64}
SIGNED = {8: np.int8, 16: np.int16, 32: np.int32, 64: np.int64}
FLOAT = {16: np.float16, 32: np.float32, 64: np.float64}


@dataclass(frozen=True)
class Format:
    """A PTX type: `kind` is u, s, b, f, bf (bfloat16) or tf (tf32); packed types have two lanes."""

    name: str
    kind: str
    bits: int  # of one lane
    lanes: int = 1

    @property
    def is_float(self) -> bool:
        return self.kind in ("f", "bf", "tf")

    @property
    def raw(self) -> type:
        """The unsigned integer that a register of this type holds."""
        return UNSIGNED[self.bits * self.lanes]

    @property
    def dtype(self) -> type:
        """What arithmetic sees: signed or unsigned integers; floats stay raw and go through decode."""
        return SIGNED[self.bits] if self.kind == "s" else self.raw

    def decode(self, raw: np.ndarray) -> np.ndarray:
        """Raw registers [T] to float32 or float64, [T] or [T, 2]."""
        if self.lanes == 2:
            return Format(self.name, self.kind, self.bits).decode(raw.view(UNSIGNED[self.bits]).reshape(-1, 2))
        if self.kind == "bf":
            return (raw.astype(np.uint32) << np.uint32(16)).view(np.float32)
        if self.kind == "tf":
            return (raw & np.uint32(0xFFFFE000)).view(np.float32)
        value = raw.view(FLOAT[self.bits])
        return value.astype(np.float32) if self.bits == 16 else value

    def encode(self, value: np.ndarray) -> np.ndarray:
        """Round to nearest even and pack; the inverse of decode. NaN becomes the one NaN of the hardware."""
        if self.lanes == 2:
            single = Format(self.name, self.kind, self.bits).encode(np.ascontiguousarray(value))
            return np.ascontiguousarray(single).view(self.raw).reshape(-1)
        if self.kind == "bf":
            return round_to_bf16(value)
        if self.kind == "tf":
            return round_to_tf32(value.astype(np.float32), "rn")
        rounded = np.ascontiguousarray(value.astype(FLOAT[self.bits]))
        raw = rounded.view(UNSIGNED[self.bits])
        if self.bits < 64 and np.isnan(rounded).any():
            raw = np.where(np.isnan(rounded), raw.dtype.type((1 << (self.bits - 1)) - 1), raw)
        return raw


FORMATS = {
    **{f"{kind}{bits}": Format(f"{kind}{bits}", kind, bits) for kind in "bus" for bits in (8, 16, 32, 64)},
    **{f"f{bits}": Format(f"f{bits}", "f", bits) for bits in (16, 32, 64)},
    "bf16": Format("bf16", "bf", 16),
    "tf32": Format("tf32", "tf", 32),
    "f16x2": Format("f16x2", "f", 16, 2),
    "bf16x2": Format("bf16x2", "bf", 16, 2),
    "f32x2": Format("f32x2", "f", 32, 2),
    "s16x2": Format("s16x2", "s", 16, 2),
    "u16x2": Format("u16x2", "u", 16, 2),
}


def format_of(name: str) -> Format:
    if name not in FORMATS:
        raise EmulationError(f"unknown type .{name}")
    return FORMATS[name]


def round_to_bf16(value: np.ndarray, mode: str = "rn") -> np.ndarray:
    """float32 or float64 to bfloat16 as uint16; mode rn (nearest even) or rz (towards zero)."""
    value = to_odd(value) if value.dtype == np.float64 else np.ascontiguousarray(value)
    bits = value.view(np.uint32)
    if mode == "rn":
        bits = bits + (((bits >> np.uint32(16)) & np.uint32(1)) + np.uint32(0x7FFF))
    rounded = (bits >> np.uint32(16)).astype(np.uint16)
    nan = np.isnan(value)
    return np.where(nan, np.uint16(0x7FFF), rounded) if nan.any() else rounded


def round_to_tf32(value: np.ndarray, mode: str) -> np.ndarray:
    """float32 to tf32 as uint32, the low 13 bits zero; mode rna (ties away from zero), rn or rz."""
    bits = np.ascontiguousarray(value).view(np.uint32)
    if mode == "rna":
        rounded = bits + np.uint32(0x1000)
    elif mode == "rn":
        rounded = bits + (((bits >> np.uint32(13)) & np.uint32(1)) + np.uint32(0xFFF))
    else:
        rounded = bits
    rounded = np.where(np.isfinite(value), rounded, bits)
    return np.where(np.isnan(value), np.uint32(0x7FFFFFFF), rounded) & np.uint32(0xFFFFE000)


def to_odd(value: np.ndarray) -> np.ndarray:
    """float64 to float32 so that one more rounding, to fewer digits, is the rounding of the float64.

    Inexact results get an odd last digit: never a tie (Boldo and Melquiond, "Emulation of FMA", 2008).
    """
    nearest = value.astype(np.float32)
    even = np.isfinite(nearest) & (nearest != value) & (nearest.view(np.uint32) & np.uint32(1) == 0)
    towards = np.where(value > nearest, np.float32(np.inf), np.float32(-np.inf))
    return np.where(even, np.nextafter(nearest, towards), nearest)


def flush_subnormals(value: np.ndarray) -> np.ndarray:
    """.ftz: subnormal float32 become zeros of their sign."""
    small = np.abs(value) < np.float32(2.0**-126)
    return np.where(small, np.copysign(np.float32(0), value), value).astype(np.float32)
