"""The calls of csrc/cuda's convolutions that are run on the host and emulated: the chain's, and more of 4x4 stride 2.

Data alone. Rows with the same channels and kernel take the same tile unless their number of outputs is large.
"""

from emulation.chain_table import ROWS as CHAIN
from emulation.chain_table import Row

K4S2 = {"kernel": (4, 4), "stride": (2, 2), "padding": (1, 1)}
K1 = {"kernel": (1, 1), "stride": (1, 1), "padding": (0, 0)}
K5S3 = {"kernel": (5, 5), "stride": (3, 3), "padding": (1, 1), "output_padding": (1, 2)}
K2S3 = {"kernel": (2, 2), "stride": (3, 3), "padding": (0, 0), "output_padding": (1, 0)}


def _rows(name: str, precisions: str, *arguments, **options) -> list[Row]:
    return [Row(name, precision, *arguments, parts="", targets=(), **options) for precision in precisions.split()]


def _up(name: str, precisions: str, *arguments, **options) -> list[Row]:
    return _rows(name, precisions, "conv_transpose2d", *arguments, K4S2, **options)


def _down(name: str, precisions: str, *arguments, **options) -> list[Row]:
    return _rows(name, precisions, "conv2d", *arguments, K4S2, **options)


# name, precisions, rows of scale and shift, activation, samples, channels, size
OWN = (
    *_up("one sample", "fp16 bf16 tf32 ieee", "per_channel", "leaky_relu", 1, (64, 40), (4, 4)),
    *_up("odd sizes", "fp16 tf32 ieee", "per_sample", "leaky_relu", 5, (24, 72), (5, 3)),
    *_up("to 1", "fp16 ieee", "per_channel", "relu", 2, (32, 1), (7, 5)),
    *_up("to 3", "fp16 tf32 ieee", "per_channel", "leaky_relu", 3, (64, 3), (9, 7)),
    *_up("to 4", "bf16", "per_sample", "relu", 2, (16, 4), (8, 8)),
    *_up("to 8", "fp16 tf32", "per_channel", "leaky_relu", 2, (16, 8), (9, 8)),
    *_up("33 to 5", "fp16 ieee", "per_sample", "leaky_relu", 3, (33, 5), (6, 9)),
    *_up("5 to 33", "bf16 tf32", "scale", "relu", 2, (5, 33), (5, 5)),
    *_up("many outputs of 136", "fp16 bf16 tf32", "per_channel", "leaky_relu", 4, (8, 136), (32, 32)),
    *_up("many outputs of 40", "fp16 bf16 tf32", "per_sample", "leaky_relu", 8, (8, 40), (32, 32)),
    *_down("one sample", "fp16 bf16 tf32 ieee", "per_channel", "leaky_relu", 1, (40, 64), (8, 8)),
    *_down("odd sizes", "fp16 tf32 ieee", "per_sample", "relu", 5, (24, 72), (9, 7)),
    *_down("from 1", "fp16 ieee", "shift", "leaky_relu", 2, (1, 24), (9, 11)),
    *_down("from 2", "fp16 tf32 ieee", "per_sample", "leaky_relu", 3, (2, 24), (10, 18)),
    *_down("from 4", "fp16 tf32", "bare", "none", 3, (4, 24), (10, 6)),
    *_down("from 4, mixed", "fp16 bf16", "mixed", "leaky_relu", 3, (4, 24), (10, 18)),
    *_down("from 5", "bf16", "mixed", "leaky_relu", 3, (5, 9), (9, 7)),
    *_down("from 8", "fp16 ieee", "per_channel", "leaky_relu", 3, (8, 16), (10, 6)),
    *_rows("rows of numbers", "fp16 ieee", "conv2d", "per_sample", "relu", 70, (104, 200), (1, 1), K1),
    *_rows("5x5s3", "fp16 tf32", "conv_transpose2d", "per_channel", "relu", 2, (16, 24), (4, 5), K5S3),
    *_rows("2x2s3, phases without taps", "fp16", "conv_transpose2d", "scale", "relu", 3, (8, 16), (4, 4), K2S3),
)
LARGE = tuple(row for row in OWN if row.name.startswith("many outputs"))
ROWS = (*CHAIN, *(row for row in OWN if row not in LARGE))
# One of each kernel: tile, way of reading x, and precision; enough to see a build that is wrong throughout.
SAMPLED = (
    "conv_transpose2d odd sizes fp16",
    "conv_transpose2d to 3 tf32",
    "conv_transpose2d 33 to 5 ieee",
    "conv2d one sample bf16",
)


def row(configuration: str) -> Row:
    (found,) = (each for each in (*ROWS, *LARGE) if each.configuration == configuration)
    return found
