"""Reductions over the tiles of a grid inside one launch: the last arriver merges, in an order that is fixed.

Every tile writes its partial result and counts itself in; the one that finds all others counted merges them. Which
one that is depends on the run, the order of the merge does not, so equal inputs give equal bits. In two levels, so
that no program reads the partials of all tiles: groups of tiles, then the groups. Merges are float64.
"""

import triton
import triton.language as tl

ROWS = tl.constexpr(16)  # partial results read at a time


@triton.jit
def is_last(counter_ptr, arrivals):
    """Count this program in; whether it is the last of `arrivals`, which then sees what the others stored before.

    The barrier puts the stores of all threads before the release of the one that counts. The last arriver sets the
    counter back to 0 for the next launch.
    """
    tl.debug_barrier()
    last = tl.atomic_add(counter_ptr, 1, sem="acq_rel", scope="gpu") == arrivals - 1
    if last:
        tl.store(counter_ptr, 0)
    return last


@triton.jit
def tile_moments(x, mask):
    """(count, mean, rest, squares) of the columns of x [rows, columns], all in float32; mask: [rows, 1].

    The mean first and the squares about it, so nothing cancels. What rounding left out of that mean is `rest`:
    the mean of the deviations, which takes the pair to twice float32's digits.
    """
    count = tl.sum(tl.where(mask, 1.0, 0.0), 0)
    rows = tl.maximum(count, 1.0)
    mean = tl.sum(tl.where(mask, x, 0.0), 0) / rows
    gap = tl.where(mask, x - mean[None, :], 0.0)
    rest = tl.sum(gap, 0) / rows
    return count, mean, rest, tl.sum(gap * gap, 0) - count * rest * rest


@triton.jit
def store_moments(ptr, row, count, mean, rest, squares, offs_n, mask_n, COLUMNS: tl.constexpr):
    """Write one row of moments, float32 [rows, 4, COLUMNS]."""
    at = ptr + row.to(tl.int64) * (4 * COLUMNS) + offs_n
    tl.store(at, count + tl.zeros(offs_n.shape, tl.float32), mask=mask_n)
    tl.store(at + COLUMNS, mean, mask=mask_n)
    tl.store(at + 2 * COLUMNS, rest, mask=mask_n)
    tl.store(at + 3 * COLUMNS, squares, mask=mask_n)


@triton.jit
def _load_moments(ptr, start, end, offs_n, mask_n, COLUMNS: tl.constexpr):
    """(pointers, mask, counts, means) of ROWS rows of moments, in float64."""
    rows = start + tl.arange(0, ROWS)
    mask = (rows < end)[:, None] & mask_n[None, :]
    at = ptr + ((rows.to(tl.int64) * (4 * COLUMNS))[:, None] + offs_n[None, :])
    mean = tl.load(at + COLUMNS, mask=mask, other=0.0).to(tl.float64)
    rest = tl.load(at + 2 * COLUMNS, mask=mask, other=0.0).to(tl.float64)
    return at, mask, tl.load(at, mask=mask, other=0.0).to(tl.float64), mean + rest


@triton.jit
def merge_moments(ptr, first, end, offs_n, mask_n, COLUMNS: tl.constexpr):
    """(count, mean, squares) in float64 over rows of moments, without cancellation (Chan, Golub, LeVeque)."""
    count = tl.zeros(offs_n.shape, tl.float64)
    total = tl.zeros(offs_n.shape, tl.float64)
    for start in range(first, end, ROWS):
        _, _, counts, means = _load_moments(ptr, start, end, offs_n, mask_n, COLUMNS)
        count += tl.sum(counts, 0)
        total += tl.sum(counts * means, 0)
    mean = total / tl.where(count > 0, count, 1.0)
    squares = tl.zeros(offs_n.shape, tl.float64)
    for start in range(first, end, ROWS):
        at, mask, counts, means = _load_moments(ptr, start, end, offs_n, mask_n, COLUMNS)
        gap = means - mean[None, :]
        within = tl.load(at + 3 * COLUMNS, mask=mask, other=0.0).to(tl.float64)
        squares += tl.sum(within + counts * gap * gap, 0)
    return count, mean, squares


@triton.jit
def finish_moments(
    mean_ptr,
    var_ptr,
    partial_ptr,
    group_ptr,
    counter_ptr,
    tile,
    tiles,
    group_tiles,
    pid_n,
    x,
    mask_m,
    offs_n,
    mask_n,
    COLUMNS: tl.constexpr,
):
    """Mean and biased variance of all tiles of a column block, of which this one holds x [rows, columns].

    partial_ptr, group_ptr: float32 [tiles or groups, 4, COLUMNS]; counter_ptr: int32 [column blocks, groups + 1];
    mask_m: [rows].
    """
    groups = tl.cdiv(tiles, group_tiles)
    group = tile // group_tiles
    counters = counter_ptr + pid_n * (groups + 1)
    count, mean, rest, squares = tile_moments(x, mask_m[:, None])
    store_moments(partial_ptr, tile, count, mean, rest, squares, offs_n, mask_n, COLUMNS)
    first = group * group_tiles
    end = tl.minimum(first + group_tiles, tiles)
    if is_last(counters + group, end - first):
        n, exact, around = merge_moments(partial_ptr, first, end, offs_n, mask_n, COLUMNS)
        mean = exact.to(tl.float32)
        rest = (exact - mean.to(tl.float64)).to(tl.float32)
        squares = around.to(tl.float32)
        store_moments(group_ptr, group, n.to(tl.float32), mean, rest, squares, offs_n, mask_n, COLUMNS)
        if is_last(counters + groups, groups):
            n, exact, around = merge_moments(group_ptr, 0, groups, offs_n, mask_n, COLUMNS)
            tl.store(mean_ptr + offs_n, exact.to(tl.float32), mask=mask_n)
            tl.store(var_ptr + offs_n, (around / tl.where(n > 0, n, 1.0)).to(tl.float32), mask=mask_n)
