"""Mistakes that the kernels of the chain could have, each with the check that has to notice it. Data alone.

Of the sources: one text that a file holds once, and what stands there instead. Of the PTX: a pattern, and what its
matches become. That no barrier is before a counter is a mistake of the PTX alone: Triton 3.7 puts one there itself.
"""

import re
from typing import NamedTuple

# What runs a mutant: `make test`, `make test-emulation` or `make test-emulation-full`; the sources' compile.
TEST, EMULATION, FULL = "test", "emulation", "emulation_full"


class Mutant(NamedTuple):
    name: str
    file: str
    old: str
    new: str
    check: str
    suite: str = FULL


_PADDED_Z = """        if (scale is not None) or (shift is not None):
            z = tl.where(inside, z, 0.0)
        return z.to(x.dtype)
"""
_PADDED_X = """        return z.to(x.dtype)
"""
_RESET = """    if last:
        tl.store(counter_ptr, 0)
"""
_STORED = """        stored = y.to(tl.float32)
"""
_WITHOUT_BIAS = """            stored = stored - bias[None, :]
"""
_OUTPUT_MASK = """    mask = mask_m[:, None] & mask_n[None, :]
    if bias_ptr is not None:
"""
_EVERY_SPLIT = (
    """total += tl.load(partial_ptr + tl.cast(other, tl.int64) * (CS * columns) + offs, mask=mask, other=0.0)"""
)

SOURCES = (
    Mutant(
        "transposed taps one apart, not a stride",
        "taps.py",
        "(first_h - t_h * SH)",
        "(first_h - t_h)",
        "transposed_forward",
        EMULATION,
    ),
    Mutant(
        "the phase without the padding",
        "taps.py",
        "lowest = (phase + P) % S",
        "lowest = phase % S",
        "transposed_forward",
    ),
    Mutant(
        "the rightmost input first",
        "taps.py",
        "(phase + P - lowest) // S - (taps - 1)",
        "(phase + P - lowest) // S",
        "transposed_forward",
    ),
    Mutant("kernel rows as wide as the map", "taps.py", "else t_h * KW + t_w", "else t_h * KW + t_h", "forward"),
    Mutant(
        "inputs of the row above",
        "taps.py",
        "return inside, t_h * width + t_w,",
        "return inside, (t_h - 1) * width + t_w,",
        "forward",
    ),
    Mutant(
        "rows past the image",
        "taps.py",
        "mask = mask & (out_h < out_height) & (out_w < out_width)",
        "mask = mask & (out_h < out_height)",
        "input_gradient",
    ),
    Mutant(
        "channels past the last",
        "taps.py",
        "            inside = inside & mask_k[None, :]\n",
        "            inside = inside\n",
        "transposed_forward",
    ),
    Mutant(
        "columns of the weight past the last",
        "taps.py",
        "    mask = (offs_n < CO)[None, :]\n",
        "    mask = (offs_n < CO + 1)[None, :]\n",
        "forward",
    ),
    Mutant(
        "the left border open",
        "taps.py",
        "inside = (h >= 0) & (h < height) & (w >= 0) & (w < width) & mask_k[None, :]",
        "inside = (h >= 0) & (h < height) & (w < width) & mask_k[None, :]",
        "forward",
    ),
    Mutant(
        "a sum that forgets",
        "affine_act_conv.py",
        "PRECISION)\n\n    mask = mask_m",
        "PRECISION)\n    acc = acc * 0.5\n    mask = mask_m",
        "forward",
    ),
    Mutant(
        "columns of y past the last",
        "affine_act_conv.py",
        _OUTPUT_MASK,
        _OUTPUT_MASK.replace(" & mask_n[None, :]", ""),
        "transposed_forward",
    ),
    Mutant("padding before the activation", "operands.py", _PADDED_Z, _PADDED_X, "padding_is_of_z", TEST),
    Mutant(
        "statistics of the unrounded sum",
        "affine_act_conv.py",
        _STORED,
        "        stored = acc\n",
        "statistics_are_of_what_is_stored",
    ),
    Mutant(
        "statistics with the bias",
        "affine_act_conv.py",
        _WITHOUT_BIAS,
        "            stored = stored\n",
        "statistics_are_of_what_is_stored",
    ),
    Mutant(
        "variance from sums of squares",
        "merging.py",
        "squares += tl.sum(within + counts * gap * gap, 0)",
        "squares += tl.sum(within + counts * (means * means - (mean * mean)[None, :]).to(tl.float32), 0)",
        "statistics_far_from_zero",
        EMULATION,
    ),
    Mutant("a mean in one float32", "merging.py", "mean + rest\n", "mean\n", "statistics_far_from_zero"),
    Mutant(
        "variance within tiles alone",
        "merging.py",
        "tl.sum(within + counts * gap * gap, 0)",
        "tl.sum(within, 0)",
        "transposed_forward",
    ),
    Mutant("counters that stay", "merging.py", _RESET, "", "sums_in_every_order", EMULATION),
    Mutant("one arrival too early", "merging.py", "== arrivals - 1", "== arrivals - 2", "sums_in_every_order"),
    Mutant(
        "sums of the first group alone",
        "sums.py",
        "rows = start + tl.arange(0, ROWS)\n        at = ptr",
        "rows = start % 16 + tl.arange(0, ROWS)\n        at = ptr",
        "sums_in_every_order",
    ),
    Mutant(
        "the last group as full as the others",
        "sums.py",
        "end = tl.minimum(first + group_tiles, tiles)",
        "end = first + group_tiles",
        "sums_in_every_order",
        EMULATION,
    ),
    Mutant(
        "splits from the last arriver's on",
        "affine_act_conv_weight_grad.py",
        _EVERY_SPLIT,
        _EVERY_SPLIT.replace("tl.cast(other, tl.int64)", "tl.cast((other + split) % tl.num_programs(1), tl.int64)"),
        "splits_in_every_order",
    ),
    Mutant(
        "the first split twice",
        "affine_act_conv_weight_grad.py",
        _EVERY_SPLIT,
        _EVERY_SPLIT.replace("tl.cast(other, tl.int64)", "tl.cast(tl.maximum(other, 1), tl.int64)"),
        "weight_gradient_in_splits",
        EMULATION,
    ),
    Mutant(
        "pixels past the last",
        "affine_act_conv_weight_grad.py",
        "mask_k = pixel < pixels",
        "mask_k = pixel < pixels + 1",
        "weight_gradient_in_splits",
    ),
    Mutant(
        "the other sign of the padding",
        "affine_act_conv_weight_grad.py",
        "row_h = i * SH - PH",
        "row_h = i * SH + PH",
        "gradients_of_a_transposed_convolution",
    ),
    Mutant("the mean left in", "operands.py", "(gap - mean)", "gap", "gradients_of_a_transposed_convolution"),
    Mutant(
        "the bias left in",
        "operands.py",
        "            if bias is not None:\n                gap = gap - bias\n",
        "",
        "gradients_of_a_transposed_convolution",
    ),
    Mutant(
        "padding of gy, not of dy",
        "operands.py",
        "return tl.where(inside, dy, 0.0)",
        "return dy",
        "gradients_of_a_transposed_convolution",
    ),
    Mutant(
        "half the gradient for the variance",
        "operands.py",
        "(2.0 * per_count * gvar)",
        "(per_count * gvar)",
        "input_gradient",
    ),
    Mutant(
        "dx without the scale",
        "affine_act_conv_input_grad.py",
        "dx = dv * scale",
        "dx = dv",
        "input_gradient",
        EMULATION,
    ),
    Mutant(
        "ds of z, not of x",
        "affine_act_conv_input_grad.py",
        "by_scale = dv * x.to(tl.float32)",
        "by_scale = dv * affine(x, scale, None)",
        "input_gradient",
    ),
    Mutant(
        "scales of the first sample for all",
        "operands.py",
        "        offs = sample.to(tl.int64) * (apart * C)\n",
        "        offs = sample.to(tl.int64) * 0\n",
        "scale_and_shift_by_sample",
    ),
    Mutant(
        "sums of later samples too",
        "sums.py",
        "mask = (slot == index)[:, None]",
        "mask = (slot >= index)[:, None]",
        "scale_and_shift_by_sample",
    ),
    Mutant(
        "the slope of leaky_relu at 0",
        "activation.py",
        "return tl.where(v > 0.0, dz, dz * negative_slope)",
        "return tl.where(v >= 0.0, dz, dz * negative_slope)",
        "slopes_at_zero",
        EMULATION,
    ),
    Mutant(
        "the slope of relu at 0",
        "activation.py",
        "return tl.where(v <= 0.0, 0.0, dz)",
        "return tl.where(v < 0.0, 0.0, dz)",
        "slopes_at_zero",
    ),
    Mutant("tf32 cut off", "precision.py", "(bits + 0x1000) & -0x2000", "bits & -0x2000", "tf32_is_rounded", EMULATION),
    Mutant(
        "pixels that wrap around",
        "activation.py",
        "    value = tl.where(value < 255.0, value, 255.0)\n",
        "",
        "pixels_of_every_kind",
    ),
    Mutant(
        "pixels cut off, not rounded",
        "activation.py",
        "((value + 12582912.0) - 12582912.0)",
        "value",
        "pixels_of_every_kind",
    ),
    Mutant(
        "a shift of the mean alone",
        "batch_norm_affine.py",
        "shift = -mean * scale",
        "shift = -mean",
        "batch_norm_vectors",
    ),
    Mutant(
        "eps behind the root",
        "batch_norm_affine.py",
        "    r = 1.0 / tl.sqrt_rn(var + eps)\n",
        "    r = 1.0 / (tl.sqrt_rn(var) + eps)\n",
        "batch_norm_vectors",
        EMULATION,
    ),
    Mutant(
        "the derivative of 1 / var",
        "batch_norm_affine.py",
        "-0.5 * (r * r * r) * by_var",
        "-0.5 * (r * r) * by_var",
        "batch_norm_vectors",
    ),
)


class PtxMutant(NamedTuple):
    """`which` of the matches change, all where it is None."""

    name: str
    pattern: str
    replacement: str
    check: str
    target: str = "sm_80"
    which: int | None = 0
    suite: str = EMULATION

    def of(self, ptx: str) -> str:
        """The PTX with the mistake, as it was where the pattern does not occur."""
        found = list(re.finditer(self.pattern, ptx))
        chosen = found if self.which is None else found[self.which :][:1]
        for match in reversed(chosen):
            ptx = ptx[: match.start()] + match.expand(self.replacement) + ptx[match.end() :]
        return ptx


_COUNTING_BARRIER = r"bar\.sync\s+0;(?=(?:(?!bar\.sync)[\s\S])*?atom\.global)"
_PRODUCT_BARRIER = r"bar\.sync\s+0;(?=(?:(?!bar\.sync)[\s\S])*?mma\.sync)"
PTX = (
    PtxMutant("no barrier before the first counter", _COUNTING_BARRIER, "", "sums_in_every_order"),
    PtxMutant("no barrier before the first counter (wgmma)", _COUNTING_BARRIER, "", "sums_in_every_order", "sm_90"),
    PtxMutant(
        "no barrier between what is copied and read",
        r"(cp\.async\.wait_group\s+\d+;\s*)bar\.sync\s+0;",
        r"\1",
        "sums_in_every_order",
    ),
    PtxMutant("no barrier before the products", _PRODUCT_BARRIER, "", "sums_in_every_order"),
    PtxMutant("a copy more on its way", r"cp\.async\.wait_group\s+4;", "cp.async.wait_group 5;", "transposed_forward"),
    PtxMutant(
        "a product not waited for",
        r"wgmma\.wait_group\.sync\.aligned\s+0;",
        "wgmma.wait_group.sync.aligned 1;",
        "transposed_forward",
        "sm_90",
    ),
    PtxMutant("rows of y past the last", r"@%p\d+ (st\.global\.v4[^;]*;)", r"\1", "forward", which=None),
    PtxMutant(
        "squares of columns past the last", r"@%p\d+ (st\.global\.b32[^;]*;)", r"\1", "transposed_forward", which=3
    ),
    PtxMutant(
        "copies that fill nothing with zeros",
        r"(cp\.async\.cg\.shared\.global [^;]*, 0x10), %r\d+;",
        r"\1;",
        "transposed_forward",
        which=None,
    ),
    PtxMutant(
        "operands of mma exchanged",
        r"(mma\.sync\S* \{[^}]*\}, )(\{ ?)(%r\d+), (%r\d+)",
        r"\1\2\4, \3",
        "transposed_forward",
    ),
    PtxMutant(
        "operands of wgmma exchanged",
        r"(wgmma\.mma_async\S* \{[^}]*\}, )(\{)(%r\d+),(%r\d+)",
        r"\1\2\4,\3",
        "transposed_forward",
        "sm_90",
    ),
    PtxMutant(
        "one arrival counted as two",
        r"(atom\.global\.gpu\.acq_rel\.add\.[us]32 %r\d+, \[[^\]]*\], )(\S+);",
        r"\g<1>2;",
        "sums_in_every_order",
    ),
)
