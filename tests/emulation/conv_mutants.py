"""Mistakes that the convolutions of csrc/cuda could have, each with the check that has to notice it. Data alone.

One text that a file holds once, and what stands there instead; checks are those of tests/cuda_host/conv_checks.py.
Not among them: the barrier before a block counts itself in. In no order that the emulator or the shim has does
another block run between that count and the block's own other warps.
"""

from typing import NamedTuple


class Mutant(NamedTuple):
    name: str
    file: str
    old: str
    new: str
    check: str


_KERNEL = "affine_act_conv.cuh"
_EPILOGUE = "affine_act_conv_epilogue.cuh"
_OPERANDS = "affine_act_conv_operands.cuh"
_PRODUCTS = "affine_act_conv_products.cuh"
_STAGE_BARRIER = "    __syncthreads();  // this stage is there for all, and nobody reads the one before any more\n"
_PASS_BARRIER = "    __syncthreads();  // stages, or the pass before, may still be read\n"
_STORED_ROWS = "    if (pass.outputs[row] < 0) continue;\n    count += 1;\n"
_PIECE_MASK = "if (channel >= a.shape.out_channels || out < 0) continue;"
_FRAGMENTS = "{right[j][2 * pair], right[j][2 * pair + 1]}"

MUTANTS = (
    Mutant("no barrier between copies and products", _KERNEL, _STAGE_BARRIER, "", "convolved"),
    Mutant("no barrier before the epilogue", _KERNEL, _PASS_BARRIER, "", "convolved"),
    Mutant(
        "a stage more on its way",
        _KERNEL,
        "wait_copies<Tile::kStages - 2>",
        "wait_copies<Tile::kStages - 1>",
        "convolved",
    ),
    Mutant("a copy too far ahead", _KERNEL, "= step + Tile::kStages - 1;", "= step + Tile::kStages;", "convolved"),
    Mutant(
        "a step behind the last",
        _KERNEL,
        "  for (int step = 0; step < steps; ++step) {\n    wait_copies",
        "  for (int step = 0; step <= steps; ++step) {\n    wait_copies",
        "convolved",
    ),
    Mutant(
        "fragments of the weight exchanged",
        _PRODUCTS,
        _FRAGMENTS,
        "{right[j][2 * pair + 1], right[j][2 * pair]}",
        "convolved",
    ),
    Mutant("the pieces of x out of step", _PRODUCTS, "(at_a ^ 2 * kPieceBytes * pair)", "at_a", "convolved"),
    Mutant(
        "products added up one by one",
        _PRODUCTS,
        "float& sum = of_stage.values",
        "float& sum = sums.values",
        "exact_sums_of_many_products",
    ),
    Mutant(
        "the phase without the padding",
        "correlation.h",
        "lowest = (phase + padding) % stride",
        "lowest = phase % stride",
        "transposed",
    ),
    Mutant(
        "the rightmost input first",
        "correlation.h",
        "(phase + padding - lowest) / stride - (taps - 1)",
        "(phase + padding - lowest) / stride",
        "transposed",
    ),
    Mutant(
        "rows past the image",
        _OPERANDS,
        "m < a.rows && out_h < shape.out_size[0] && ",
        "m < a.rows && ",
        "phases_of_different_sizes",
    ),
    Mutant("rows past the last sample", _OPERANDS, "there = m < a.rows && ", "there = ", "transposed"),
    Mutant("columns of y past the last", _EPILOGUE, _PIECE_MASK, "if (out < 0) continue;", "transposed"),
    Mutant(
        "columns of the weight past the last",
        _OPERANDS,
        "there && first + column + below < a.shape.out_channels",
        "there",
        "transposed",
    ),
    Mutant(
        "K goes on one channel late", _OPERANDS, "at.channel >= in_channels", "at.channel > in_channels", "transposed"
    ),
    Mutant(
        "padding before the activation",
        _OPERANDS,
        "      if (!inside(a_.shape, rows_[i], changed_)) continue;\n",
        "",
        "padding_is_of_z",
    ),
    Mutant("padding read by element", _OPERANDS, "if (valid_ >> i & 1u) {", "if (true) {", "padding_is_of_z"),
    Mutant(
        "rows of a piece out of step", _OPERANDS, "threadIdx.x % 32 / kInPiece", "threadIdx.x / 32", "padding_is_of_z"
    ),
    Mutant(
        "scale of the pixel before",
        _OPERANDS,
        "if (image == image_ && channel == channel_) return;",
        "if (channel == channel_) return;",
        "rows_that_samples_name",
    ),
    Mutant(
        "scale of the first sample for all",
        _OPERANDS,
        "slots_ + which * a_.slot_floats",
        "slots_ + 0 * a_.slot_floats",
        "transposed",
    ),
    Mutant("statistics of rows that are not there", _EPILOGUE, _STORED_ROWS, "    count += 1;\n", "transposed"),
    Mutant(
        "statistics of the unrounded sum",
        _EPILOGUE,
        "return to_compute(rounded<T>(pass.sums[row * Tile::kPitch + column] + bias)) - bias;",
        "return pass.sums[row * Tile::kPitch + column];",
        "statistics_are_of_what_is_stored",
    ),
    Mutant(
        "variance within tiles alone",
        "moments.cuh",
        "squares += it.squares + it.count * gap * gap",
        "squares += it.squares + 0 * gap",
        "in_every_order",
    ),
    Mutant(
        "a mean in one float",
        "moments.cuh",
        "it.mean) + it.rest - mean;",
        "it.mean) - mean;",
        "statistics_far_from_zero",
    ),
    Mutant("one arrival too early", "moments.cuh", "== arrivals - 1", "== arrivals - 2", "in_every_order"),
    Mutant("counters that stay", "moments.cuh", "    if (last) *counter = 0;\n", "", "in_every_order"),
    Mutant(
        "pixels of the unrounded sum",
        _EPILOGUE,
        "to_pixel(to_compute(stored.values[e]))",
        "to_pixel(tanh_of(y[e] + bias[e]))",
        "pixels_of_halves",
    ),
)
