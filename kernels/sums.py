"""Sums over the tiles of a grid inside one launch, per channel or per sample: see kernels/merging.py."""

import triton
import triton.language as tl
from fastgan.kernels.merging import ROWS, is_last


@triton.jit
def _store_sum(ptr, row, which: tl.constexpr, x, offs_n, mask_n, COLUMNS: tl.constexpr):
    """Write one of the two sums of one row of partials [rows, 2, COLUMNS]; nothing where x is None."""
    if x is not None:
        tl.store(ptr + row.to(tl.int64) * (2 * COLUMNS) + which * COLUMNS + offs_n, x, mask=mask_n)


@triton.jit
def _merged_sum(ptr, which: tl.constexpr, first, end, offs_n, mask_n, COLUMNS: tl.constexpr):
    """The sum in float64 of the rows first .. end of partials [rows, 2, COLUMNS]."""
    total = tl.zeros(offs_n.shape, tl.float64)
    for start in range(first, end, ROWS):
        rows = start + tl.arange(0, ROWS)
        at = ptr + ((rows.to(tl.int64) * (2 * COLUMNS))[:, None] + (which * COLUMNS + offs_n)[None, :])
        part = tl.load(at, mask=(rows < end)[:, None] & mask_n[None, :], other=0.0)
        total += tl.sum(part.to(tl.float64), 0)
    return total


@triton.jit
def finish_sums(
    ds_ptr,  # float32 [COLUMNS] or None
    dt_ptr,  # float32 [COLUMNS] or None
    partial_ptr,  # float32 [tiles, 2, COLUMNS]
    group_ptr,  # float64 [groups, 2, COLUMNS]
    counter_ptr,  # int32 [column blocks, groups + 1]
    tile,
    tiles,
    group_tiles,
    pid_n,
    by_scale,
    by_shift,
    offs_n,
    mask_n,
    COLUMNS: tl.constexpr,
):
    """Sums per channel of by_scale and by_shift [rows, columns] over all tiles of a column block."""
    groups = tl.cdiv(tiles, group_tiles)
    group = tile // group_tiles
    counters = counter_ptr + pid_n * (groups + 1)
    first = group * group_tiles
    end = tl.minimum(first + group_tiles, tiles)
    if ds_ptr is not None:
        _store_sum(partial_ptr, tile, 0, tl.sum(by_scale, 0), offs_n, mask_n, COLUMNS)
    if dt_ptr is not None:
        _store_sum(partial_ptr, tile, 1, tl.sum(by_shift, 0), offs_n, mask_n, COLUMNS)
    if is_last(counters + group, end - first):
        if ds_ptr is not None:
            _store_sum(
                group_ptr,
                group,
                0,
                _merged_sum(partial_ptr, 0, first, end, offs_n, mask_n, COLUMNS),
                offs_n,
                mask_n,
                COLUMNS,
            )
        if dt_ptr is not None:
            _store_sum(
                group_ptr,
                group,
                1,
                _merged_sum(partial_ptr, 1, first, end, offs_n, mask_n, COLUMNS),
                offs_n,
                mask_n,
                COLUMNS,
            )
        if is_last(counters + groups, groups):
            if ds_ptr is not None:
                total = _merged_sum(group_ptr, 0, 0, groups, offs_n, mask_n, COLUMNS)
                tl.store(ds_ptr + offs_n, total.to(tl.float32), mask=mask_n)
            if dt_ptr is not None:
                total = _merged_sum(group_ptr, 1, 0, groups, offs_n, mask_n, COLUMNS)
                tl.store(dt_ptr + offs_n, total.to(tl.float32), mask=mask_n)


@triton.jit
def _merge_samples(
    out_ptr, partial_ptr, which: tl.constexpr, first, count, parts, samples, offs_n, mask_n, COLUMNS: tl.constexpr
):
    """out[n] = the sum over `parts` of partials [parts, samples, 2, COLUMNS], of `count` samples from `first` on."""
    for start in range(0, count, ROWS):
        slots = start + tl.arange(0, ROWS)
        rows = (first + slots).to(tl.int64)
        mask = ((slots < count) & (rows < samples))[:, None] & mask_n[None, :]
        total = tl.zeros(mask.shape, tl.float64)
        for part in range(0, parts):
            at = partial_ptr + ((rows + part * samples) * (2 * COLUMNS))[:, None]
            total += tl.load(at + (which * COLUMNS + offs_n)[None, :], mask=mask, other=0.0).to(tl.float64)
        tl.store(out_ptr + (rows * COLUMNS)[:, None] + offs_n[None, :], total.to(tl.float32), mask=mask)


@triton.jit
def finish_sums_by_sample(
    ds_ptr,  # float32 [samples, COLUMNS] or None
    dt_ptr,  # float32 [samples, COLUMNS] or None
    partial_ptr,  # float32 [phases * pieces, samples, 2, COLUMNS]
    counter_ptr,  # int32 [column blocks, groups of samples]
    pid_m,
    tiles_m,
    phase,
    phases,
    samples,
    samples_per_tile,
    pieces,
    pid_n,
    slot,
    by_scale,
    by_shift,
    offs_n,
    mask_n,
    COLUMNS: tl.constexpr,
):
    """Sums per sample of by_scale and by_shift [rows, columns], over the pieces and phases that hold one.

    Tiles are those of `taps.tile_rows` by sample: the samples of a tile are a group, and arrive as one.
    """
    group = pid_m // pieces
    part = phase * pieces + pid_m % pieces
    first = group * samples_per_tile
    for index in range(0, tl.minimum(samples_per_tile, samples - first)):
        mask = (slot == index)[:, None]
        row = part * samples + first + index
        if ds_ptr is not None:
            _store_sum(partial_ptr, row, 0, tl.sum(tl.where(mask, by_scale, 0.0), 0), offs_n, mask_n, COLUMNS)
        if dt_ptr is not None:
            _store_sum(partial_ptr, row, 1, tl.sum(tl.where(mask, by_shift, 0.0), 0), offs_n, mask_n, COLUMNS)
    parts = phases * pieces
    if is_last(counter_ptr + pid_n * (tiles_m // pieces) + group, parts):
        if ds_ptr is not None:
            _merge_samples(ds_ptr, partial_ptr, 0, first, samples_per_tile, parts, samples, offs_n, mask_n, COLUMNS)
        if dt_ptr is not None:
            _merge_samples(dt_ptr, partial_ptr, 1, first, samples_per_tile, parts, samples, offs_n, mask_n, COLUMNS)
