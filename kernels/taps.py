"""Convolution and transposed convolution as one implicit GEMM: rows are output pixels, K runs over taps and channels.

That of csrc/common/convolution.h. Along one axis, with stride S, padding P and kernel K, an output of the
convolution reads in[o * S - P + tap], one of the transposed convolution all in[(o + P - tap) / S] with no remainder.
The outputs o = phase + i * S of one phase share the taps that divide and read in[i + offset + t], t = 0, 1, ...:
again a correlation. A convolution is its own single phase, whose inputs are S apart. All phases are taken to have
the rows of the largest one; what lies outside the image is masked.

The weight lies in channels_last memory, [Co][kh][kw][Ci] or, transposed, [Ci][kh][kw][Co], and each of the two
convolutions is the other's input gradient with the same weight: K is contiguous in it exactly if the convolution
that runs is not transposed.
"""

import triton
import triton.language as tl

FAR = tl.constexpr(-(1 << 30))  # the input row of a masked output: no tap brings it into the image


@triton.jit
def swizzled(pid, tiles_m, tiles_n, GROUP: tl.constexpr):
    """(pid_m, pid_n): GROUP rows of tiles at a time, so that neighbouring programs share operands in L2."""
    width = GROUP * tiles_n
    first = (pid // width) * GROUP
    rows = tl.minimum(tiles_m - first, GROUP)
    return first + (pid % width) % rows, (pid % width) // rows


@triton.jit
def axis_taps(phase, K: tl.constexpr, S: tl.constexpr, P: tl.constexpr, TRANSPOSED: tl.constexpr):
    """(taps, offset, first kernel tap): the phase's outputs i read in[i * step + offset + t], t < taps."""
    if TRANSPOSED:
        lowest = (phase + P) % S
        taps = (K - 1 - lowest + S) // S
        # The highest tap reads the leftmost input.
        return taps, (phase + P - lowest) // S - (taps - 1), lowest + (taps - 1) * S
    else:
        return K, -P, 0


@triton.jit
def tile_rows(
    pid_m,
    samples,
    pixels,
    samples_per_tile,
    pieces,
    BY_SAMPLE: tl.constexpr,
    BLOCK_M: tl.constexpr,
):
    """(sample, pixel within it, slot, mask) of the rows of a tile; the sample of a masked row is 0.

    BY_SAMPLE: a tile holds whole samples, `samples_per_tile` of them, each in a slot, or one piece of one that takes
    `pieces` tiles. Otherwise rows go on from sample to sample.
    """
    offs = tl.arange(0, BLOCK_M)
    if BY_SAMPLE:
        row = (pid_m % pieces) * BLOCK_M + offs
        slot = row // pixels
        sample = (pid_m // pieces) * samples_per_tile + slot
        mask = (slot < samples_per_tile) & (sample < samples)
    else:
        row = pid_m * BLOCK_M + offs
        slot = tl.zeros((BLOCK_M,), tl.int32)
        sample = row // pixels
        mask = sample < samples
    return tl.where(mask, sample, 0), row % pixels, slot, mask


@triton.jit
def phase_rows(
    pid_m,
    phase,
    samples,
    out_height,
    out_width,
    samples_per_tile,
    pieces,
    KH: tl.constexpr,
    KW: tl.constexpr,
    SH: tl.constexpr,
    SW: tl.constexpr,
    PH: tl.constexpr,
    PW: tl.constexpr,
    TRANSPOSED: tl.constexpr,
    BY_SAMPLE: tl.constexpr,
    BLOCK_M: tl.constexpr,
):
    """A tile of one phase: of each row (sample, slot, mask, output h and w, first input h and w), and its taps.

    The taps: (number along h and w, the kernel's tap that the first input meets along h and w).
    """
    phase_h = phase // SW if TRANSPOSED else 0
    phase_w = phase % SW if TRANSPOSED else 0
    taps_h, offset_h, first_h = axis_taps(phase_h, KH, SH, PH, TRANSPOSED)
    taps_w, offset_w, first_w = axis_taps(phase_w, KW, SW, PW, TRANSPOSED)
    # Outputs of one phase lie S apart and read inputs next to each other; a convolution has it the other way round.
    out_step_h: tl.constexpr = SH if TRANSPOSED else 1
    out_step_w: tl.constexpr = SW if TRANSPOSED else 1
    in_step_h: tl.constexpr = 1 if TRANSPOSED else SH
    in_step_w: tl.constexpr = 1 if TRANSPOSED else SW
    width = tl.cdiv(out_width, out_step_w)
    pixels = tl.cdiv(out_height, out_step_h) * width
    sample, pixel, slot, mask = tile_rows(pid_m, samples, pixels, samples_per_tile, pieces, BY_SAMPLE, BLOCK_M)
    i = pixel // width
    j = pixel % width
    out_h = i * out_step_h + phase_h
    out_w = j * out_step_w + phase_w
    mask = mask & (out_h < out_height) & (out_w < out_width)
    row_h = tl.where(mask, i * in_step_h + offset_h, FAR)
    row_w = j * in_step_w + offset_w
    return sample, slot, mask, out_h, out_w, row_h, row_w, taps_h, taps_w, first_h, first_w


@triton.jit
def k_steps(taps, C: tl.constexpr, FLAT: tl.constexpr, BLOCK_K: tl.constexpr):
    """Steps of K for that many taps of C channels."""
    if FLAT:
        return tl.cdiv(taps * C, BLOCK_K)
    else:
        return taps * ((C + BLOCK_K - 1) // BLOCK_K)


@triton.jit
def step_taps(
    step,
    row_h,
    row_w,
    height,
    width,
    taps_h,
    taps_w,
    first_h,
    first_w,
    C: tl.constexpr,
    KW: tl.constexpr,
    SH: tl.constexpr,
    SW: tl.constexpr,
    TRANSPOSED: tl.constexpr,
    FLAT: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """Of one step of K: (mask of A, input pixels from the row's first one, channel, weight tap, mask of K).

    FLAT: K runs over (tap, channel) without gaps, for few channels; else a step stays within one tap.
    row_h, row_w: the row's first input pixel; row_h is far below 0 for masked rows. The mask of A is
    [BLOCK_M, 1 or BLOCK_K], pixels and weight tap are one number or, if FLAT, [BLOCK_K].
    """
    if FLAT:
        k = step * BLOCK_K + tl.arange(0, BLOCK_K)
        tap = k // C
        channel = k % C
        t_h = tap // taps_w
        t_w = tap % taps_w
        h = row_h[:, None] + t_h[None, :]
        w = row_w[:, None] + t_w[None, :]
        mask_k = t_h < taps_h
        inside = (h >= 0) & (h < height) & (w >= 0) & (w < width) & mask_k[None, :]
    else:
        blocks: tl.constexpr = (C + BLOCK_K - 1) // BLOCK_K
        tap = step // blocks
        channel = (step % blocks) * BLOCK_K + tl.arange(0, BLOCK_K)
        t_h = tap // taps_w
        t_w = tap % taps_w
        h = row_h + t_h
        w = row_w + t_w
        mask_k = channel < C
        inside = ((h >= 0) & (h < height) & (w >= 0) & (w < width))[:, None]
        if C % BLOCK_K != 0:
            inside = inside & mask_k[None, :]
    weight_tap = (first_h - t_h * SH) * KW + first_w - t_w * SW if TRANSPOSED else t_h * KW + t_w
    return inside, t_h * width + t_w, channel, weight_tap, mask_k


@triton.jit
def load_weight(
    w_ptr,
    weight_tap,
    channel,
    offs_n,
    mask_k,
    C: tl.constexpr,
    CO: tl.constexpr,
    TAPS: tl.constexpr,
    TRANSPOSED: tl.constexpr,
    FLAT: tl.constexpr,
    BLOCK_K: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """One step's block [BLOCK_K, BLOCK_N] of the weight as stored. weight_tap: [BLOCK_K] if FLAT, else one number.

    Multiply-adds on ordinary cores ("ieee") read it along N, and Triton 3.7 lays out what they read by how threads
    hold it. A thread therefore has two columns side by side: of a block with K contiguous 16 lanes met in one bank.
    """
    if PRECISION == "ieee" and not TRANSPOSED and C % 2 == 0:
        even, odd = tl.split(tl.reshape(offs_n, (offs_n.shape[0] // 2, 2)))
        w = tl.join(
            _load_columns(w_ptr, weight_tap, channel, even, mask_k, C, CO, TAPS, TRANSPOSED, FLAT, BLOCK_K, PRECISION),
            _load_columns(w_ptr, weight_tap, channel, odd, mask_k, C, CO, TAPS, TRANSPOSED, FLAT, BLOCK_K, PRECISION),
        )
        return tl.reshape(w, (BLOCK_K, offs_n.shape[0]))
    else:
        return _load_columns(
            w_ptr, weight_tap, channel, offs_n, mask_k, C, CO, TAPS, TRANSPOSED, FLAT, BLOCK_K, PRECISION
        )


@triton.jit
def _load_columns(
    w_ptr,
    weight_tap,
    channel,
    offs_n,
    mask_k,
    C: tl.constexpr,
    CO: tl.constexpr,
    TAPS: tl.constexpr,
    TRANSPOSED: tl.constexpr,
    FLAT: tl.constexpr,
    BLOCK_K: tl.constexpr,
    PRECISION: tl.constexpr,
):
    if TRANSPOSED:
        along_k = channel * (TAPS * CO) + weight_tap * CO
        offs = along_k[:, None] + offs_n[None, :]
    else:
        along_k = weight_tap * C + channel
        offs = along_k[:, None] + (offs_n * (TAPS * C))[None, :]
        if PRECISION == "ieee" and C % 2 != 0:
            # Single elements whose order says nothing are read by threads along N, which is how they are needed.
            offs = tl.max_contiguous(offs, [1, 1])
    mask = (offs_n < CO)[None, :]
    if FLAT or C % BLOCK_K != 0:
        mask = mask & mask_k[:, None]
    return tl.load(w_ptr + offs, mask=mask, other=0.0)
