"""The calls of the chain's launchers that are compiled and emulated: together they take every configuration there is.

Data alone, so that tests can be named without Triton. Channels, kernel, stride, padding and activation are part of
what is compiled; samples and sizes of maps are not (but for the weight gradient, whose small map is).
"""

from typing import Any, NamedTuple

NVIDIA = ("sm_80", "sm_90")  # one target of mma.sync and one of wgmma: these are emulated
OTHERS = ("sm_86", "sm_89", "sm_100", "sm_120", "gfx942")

_K4S2 = {"kernel": (4, 4), "stride": (2, 2), "padding": (1, 1)}
_K4S1 = {"kernel": (4, 4), "stride": (1, 1), "padding": (0, 0)}
_K3S1 = {"kernel": (3, 3), "stride": (1, 1), "padding": (1, 1)}
_K3S2 = {"kernel": (3, 3), "stride": (2, 2), "padding": (1, 1)}
_K3S2_PADDED = _K3S2 | {"output_padding": (1, 0)}
_K1 = {"kernel": (1, 1), "stride": (1, 1), "padding": (0, 0)}


class Row(NamedTuple):
    """Arguments of support.chain_cases.make_case, and what is done with the case.

    precision: "fp16", "bf16", or for float32 "tf32" or "ieee".
    parts: which gradients, "input" (dx, ds, dt) and "weight" (dw, db).
    uses: which of y, mean and var have a gradient.
    large: take the configurations of large shapes, which would keep the emulator busy for minutes.
    wide_weight: weight and bias in float32 beside maps of halves.
    targets: those of `make test-emulation`; full: those that only `make test-emulation-full` adds.
    sampled: those of them that `make test` has.
    """

    name: str
    precision: str
    kind: str
    rows: str
    activation: str
    samples: int
    channels: tuple[int, int]
    size: tuple[int, int]
    geometry: dict[str, tuple[int, int]]
    parts: str = "input weight"
    uses: str = "y mean var"
    large: bool = False
    wide_weight: bool = False
    targets: tuple[str, ...] = NVIDIA
    full: tuple[str, ...] = ()
    sampled: tuple[str, ...] = ()

    @property
    def configuration(self) -> str:
        return f"{self.kind} {self.name} {self.precision}"

    @property
    def vectors(self) -> bool:
        """Whether 16 bytes hold channels of one pixel alone, so that the loops can copy 16 at a time."""
        return all(channels % 8 == 0 for channels in self.channels)


def _rows(call: tuple, precisions: str, **options: Any) -> list[Row]:
    name, *arguments = call
    return [Row(name, precision, *arguments, **options) for precision in precisions.split()]


_FROM_3 = "4x4s2 from 3", "conv2d", "per_channel", "leaky_relu", 3, (3, 24), (9, 7), _K4S2
_ODD = "3x3s1 33 to 17", "conv2d", "mixed", "leaky_relu", 2, (33, 17), (6, 7), _K3S1
_EVEN = "4x4s2 48 to 32", "conv_transpose2d", "per_channel", "relu", 2, (48, 32), (4, 4), _K4S2
_TO_ONE_PIXEL = "4x4s1 to one pixel", "conv2d", "per_sample", "leaky_relu", 5, (32, 1), (4, 4), _K4S1
_FROM_ONE_PIXEL = "4x4s1 from one pixel", "conv_transpose2d", "per_sample", "leaky_relu", 3, (24, 24), (1, 1), _K4S1
_1_TO_4 = "4x4s2 1 to 4", "conv_transpose2d", "bare", "leaky_relu", 2, (1, 4), (5, 3), _K4S2
_TO_3 = "4x4s2 to 3", "conv_transpose2d", "per_sample", "relu", 2, (40, 3), (5, 6), _K4S2
_STATISTICS = "3x3s2 statistics alone", "conv2d", "scale", "relu", 5, (16, 24), (8, 9), _K3S2
_PADDED = "3x3s2 output padding", "conv_transpose2d", "shift", "none", 2, (22, 24), (3, 4), _K3S2_PADDED
_LARGE = "3x3s1 24 to 72", "conv2d", "per_channel", "relu", 1, (24, 72), (16, 17), _K3S1
_K3S1_UP = "3x3s1", "conv_transpose2d", "per_sample", "relu", 3, (16, 16), (8, 9), _K3S1
_1X1 = "1x1", "conv2d", "bare", "none", 1, (4, 70), (6, 5), _K1

_SM_90_LATER = {"targets": ("sm_80",), "full": ("sm_90",)}
_LATER = {"targets": (), "full": NVIDIA}

ROWS: tuple[Row, ...] = (
    *_rows(_FROM_3, "fp16"),
    *_rows(_FROM_3, "tf32", **_LATER),
    *_rows(_FROM_3, "ieee", **_SM_90_LATER),
    *_rows(_ODD, "fp16", parts="input"),
    *_rows(_ODD, "tf32 ieee", parts="input", **_LATER),
    *_rows(_EVEN, "fp16", full=OTHERS),
    *_rows(_EVEN, "tf32", parts="input"),
    *_rows(_EVEN, "ieee", parts="input", **_SM_90_LATER),
    *_rows(_TO_ONE_PIXEL, "fp16", parts="input", sampled=("sm_80",), **_SM_90_LATER),
    *_rows(_TO_ONE_PIXEL, "tf32 ieee", parts="input", **_LATER),
    *_rows(_1_TO_4, "fp16", uses="y", **_SM_90_LATER),
    *_rows(_1_TO_4, "tf32 ieee", uses="y", **_LATER),
    *_rows(_LARGE, "fp16", large=True, full=("sm_86", "sm_100", "gfx942")),
    *_rows(_LARGE, "tf32", large=True, **_LATER),
    *_rows(_TO_3, "bf16", **_SM_90_LATER),
    *_rows(_FROM_ONE_PIXEL, "bf16", wide_weight=True, **_LATER),
    *_rows(_STATISTICS, "bf16", uses="mean var", **_LATER),
    *_rows(_PADDED, "bf16", uses="y", **_SM_90_LATER),
    *_rows(_K3S1_UP, "fp16", **_LATER),
    *_rows(_1X1, "fp16 ieee", **_LATER),
)


class PassRow(NamedTuple):
    """affine_act, its gradients, and of a map its pixels; rows of scale and shift as of support.chain_cases.ROWS."""

    name: str
    precision: str
    rows: str
    activation: str
    shape: tuple[int, ...]
    targets: tuple[str, ...]
    full: tuple[str, ...]

    @property
    def configuration(self) -> str:
        return f"affine_act {self.name} {self.precision}"


PASSES = (
    PassRow("64", "fp16", "per_channel", "leaky_relu", (2, 64, 5, 7), NVIDIA, OTHERS),
    PassRow("70 per sample", "bf16", "per_sample", "relu", (3, 70, 4, 5), (), NVIDIA),
    PassRow("3 mixed", "ieee", "mixed", "tanh", (5, 3, 9, 6), (), NVIDIA),
    PassRow("16 of numbers", "bf16", "per_sample", "leaky_relu", (4, 16), (), NVIDIA),
)


class BatchNormRow(NamedTuple):
    """batch_norm_affine and its gradients. rows: of weight and bias, 0 for [C]; affine and grads: which are there."""

    name: str
    rows: int
    affine: str
    grads: str
    targets: tuple[str, ...]
    full: tuple[str, ...]
    channels: int = 130

    @property
    def configuration(self) -> str:
        return f"batch_norm_affine {self.name}"


BATCH_NORMS = (
    BatchNormRow("[C]", 0, "weight bias", "scale shift", NVIDIA, OTHERS),
    BatchNormRow("[N, C]", 3, "weight bias", "scale shift", (), NVIDIA),
    BatchNormRow("plain", 0, "", "scale shift", (), NVIDIA),
    BatchNormRow("[N, C] weight", 3, "weight", "scale", (), NVIDIA),
    BatchNormRow("[C] bias", 0, "bias", "shift", (), NVIDIA),
)
