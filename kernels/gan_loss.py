"""gan_loss in Triton: a kernel per tile, a kernel that merges the tiles, and the launcher.

The scalar maths is that of csrc/common/softplus.h and csrc/common/gan_loss.h, pinned to it by tests. Two
launches and no atomics: sums run in a fixed order in float64, so equal inputs give equal bits. No
libdevice, no inline assembly, so the kernels also run in Triton's interpreter.
"""

import torch
import triton
import triton.language as tl
from fastgan.kernels.exponential import exp_of_negative, log1p_unit
from torch import Tensor

TILE = tl.constexpr(1024)
SUMS = tl.constexpr(7)  # real_loss, fake_loss, g_loss, real, fake, real_positive, fake_positive
MERGE_BLOCK = 256

# Positions in fastgan.reference.gan_loss.FAMILIES.
NON_SATURATING = tl.constexpr(0)
HINGE = tl.constexpr(1)
LEAST_SQUARES = tl.constexpr(2)
WASSERSTEIN = tl.constexpr(3)
RPGAN = tl.constexpr(4)


@triton.jit
def _softplus_both(x):
    """softplus(x), sigmoid(x), softplus(-x), sigmoid(-x) from one exponential."""
    e = exp_of_negative(tl.where(x < 0, -x, x))
    log_term = log1p_unit(e)
    larger = 1.0 / (1.0 + e)
    smaller = e * larger
    above = tl.where(x > 0, x, 0.0) + log_term
    below = tl.where(x < 0, -x, 0.0) + log_term
    return above, tl.where(x < 0, smaller, larger), below, tl.where(x < 0, larger, smaller)


@triton.jit
def _real_term(x, FAMILY: tl.constexpr):
    """Value and slope of d_loss's term of a real logit."""
    if FAMILY == NON_SATURATING:
        _, _, loss, minus_slope = _softplus_both(x)
        return loss, -minus_slope
    elif FAMILY == HINGE:
        gap = 1.0 - x
        return tl.where(gap <= 0, 0.0, gap), tl.where(gap <= 0, 0.0, -1.0)
    elif FAMILY == LEAST_SQUARES:
        return 0.5 * (x - 1.0) * (x - 1.0), x - 1.0
    else:
        return -x, tl.full(x.shape, -1.0, tl.float32)


@triton.jit
def _fake_term(x, FAMILY: tl.constexpr):
    """Value and slope of d_loss's term of a fake logit, then those of g_loss's."""
    one = tl.full(x.shape, 1.0, tl.float32)
    if FAMILY == NON_SATURATING:
        d_loss, d_slope, g_loss, minus_slope = _softplus_both(x)
        return d_loss, d_slope, g_loss, -minus_slope
    elif FAMILY == HINGE:
        gap = 1.0 + x
        return tl.where(gap <= 0, 0.0, gap), tl.where(gap <= 0, 0.0, 1.0), -x, -one
    elif FAMILY == LEAST_SQUARES:
        return 0.5 * x * x, x, 0.5 * (x - 1.0) * (x - 1.0), x - 1.0
    else:
        return x, one, -x, -one


@triton.jit
def _masked_sum(x, mask):
    return tl.sum(tl.where(mask, x.to(tl.float64), 0.0), 0)


# Not specialised: a count of 1 would become a compile-time constant, which has no dtype to convert from.
@triton.jit(do_not_specialize=["real_count", "fake_count"])
def _gan_loss_tile_kernel(
    partial_ptr,  # float64 [SUMS, tiles]
    d_grad_real_ptr,  # float32 [real_count]
    d_grad_fake_ptr,  # float32 [fake_count]
    g_grad_real_ptr,  # float32 [real_count], RPGAN only
    g_grad_fake_ptr,  # float32 [fake_count]
    real_ptr,  # [real_count]
    fake_ptr,  # [fake_count]
    real_count,
    fake_count,
    FAMILY: tl.constexpr,
):
    pid = tl.program_id(0).to(tl.int64)
    offs = pid * TILE + tl.arange(0, TILE)
    mask_r = offs < real_count
    mask_f = offs < fake_count
    real = tl.load(real_ptr + offs, mask=mask_r, other=0.0).to(tl.float32)
    fake = tl.load(fake_ptr + offs, mask=mask_f, other=0.0).to(tl.float32)
    per_fake = 1.0 / fake_count.to(tl.float32)

    if FAMILY == RPGAN:
        g_loss, g_slope, d_loss, minus_d_slope = _softplus_both(real - fake)
        real_loss = tl.full(real.shape, 0.0, tl.float32)
        tl.store(d_grad_real_ptr + offs, -minus_d_slope * per_fake, mask=mask_f)
        tl.store(d_grad_fake_ptr + offs, minus_d_slope * per_fake, mask=mask_f)
        tl.store(g_grad_real_ptr + offs, g_slope * per_fake, mask=mask_f)
        tl.store(g_grad_fake_ptr + offs, -g_slope * per_fake, mask=mask_f)
    else:
        per_real = 1.0 / tl.maximum(real_count, 1).to(tl.float32)
        real_loss, real_slope = _real_term(real, FAMILY)
        d_loss, d_slope, g_loss, g_slope = _fake_term(fake, FAMILY)
        tl.store(d_grad_real_ptr + offs, real_slope * per_real, mask=mask_r)
        tl.store(d_grad_fake_ptr + offs, d_slope * per_fake, mask=mask_f)
        tl.store(g_grad_fake_ptr + offs, g_slope * per_fake, mask=mask_f)

    tiles = tl.num_programs(0)
    tl.store(partial_ptr + pid, _masked_sum(real_loss, mask_r))
    tl.store(partial_ptr + 1 * tiles + pid, _masked_sum(d_loss, mask_f))
    tl.store(partial_ptr + 2 * tiles + pid, _masked_sum(g_loss, mask_f))
    tl.store(partial_ptr + 3 * tiles + pid, _masked_sum(real, mask_r))
    tl.store(partial_ptr + 4 * tiles + pid, _masked_sum(fake, mask_f))
    tl.store(partial_ptr + 5 * tiles + pid, _masked_sum(tl.where(real > 0, 1.0, 0.0), mask_r))
    tl.store(partial_ptr + 6 * tiles + pid, _masked_sum(tl.where(fake > 0, 1.0, 0.0), mask_f))


@triton.jit
def _merged(partial_ptr, row, tiles, BLOCK: tl.constexpr):
    """Sum of one row of the partial sums, in steps of BLOCK tiles."""
    total = tl.zeros((BLOCK,), tl.float64)
    start = 0
    while start < tiles:
        offs = start + tl.arange(0, BLOCK)
        total += tl.load(partial_ptr + row * tiles + offs, mask=offs < tiles, other=0.0)
        start += BLOCK
    return tl.sum(total, 0)


@triton.jit(do_not_specialize=["tiles", "real_count", "fake_count"])
def _gan_loss_merge_kernel(
    d_loss_ptr,  # float32 []
    g_loss_ptr,  # float32 []
    statistics_ptr,  # float32 [4]
    partial_ptr,  # float64 [SUMS, tiles]
    tiles,
    real_count,
    fake_count,
    BLOCK: tl.constexpr,
):
    reals = tl.maximum(real_count, 1).to(tl.float64)  # without reals their sums are 0
    fakes = fake_count.to(tl.float64)
    real_half = _merged(partial_ptr, 0, tiles, BLOCK) / reals
    fake_half = _merged(partial_ptr, 1, tiles, BLOCK) / fakes
    tl.store(d_loss_ptr, (real_half + fake_half).to(tl.float32))
    tl.store(g_loss_ptr, (_merged(partial_ptr, 2, tiles, BLOCK) / fakes).to(tl.float32))
    tl.store(statistics_ptr, (_merged(partial_ptr, 3, tiles, BLOCK) / reals).to(tl.float32))
    tl.store(statistics_ptr + 1, (_merged(partial_ptr, 4, tiles, BLOCK) / fakes).to(tl.float32))
    tl.store(statistics_ptr + 2, (_merged(partial_ptr, 5, tiles, BLOCK) / reals).to(tl.float32))
    tl.store(statistics_ptr + 3, (_merged(partial_ptr, 6, tiles, BLOCK) / fakes).to(tl.float32))


def gan_loss(real_logits: Tensor | None, fake_logits: Tensor, family: int) -> tuple[Tensor, ...]:
    """Launch both kernels. Arguments and the seven results as of the operator `fastgan_C::gan_loss`.

    Logits: float32, float16 or bfloat16, not empty; for RPGAN as many reals as fakes.
    """
    fake = fake_logits.contiguous()
    real = fake.new_empty(0) if real_logits is None else real_logits.contiguous()

    def empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.empty(shape, dtype=dtype, device=fake.device)

    d_grad_real, d_grad_fake, g_grad_fake = empty(*real.shape), empty(*fake.shape), empty(*fake.shape)
    g_grad_real = empty(*real.shape) if family == RPGAN.value else empty(0)
    d_loss, g_loss, statistics = empty(), empty(), empty(4)
    tiles = triton.cdiv(max(real.numel(), fake.numel()), TILE.value)
    partial = empty(SUMS.value, tiles, dtype=torch.float64)
    with torch.cuda.device_of(fake):
        _gan_loss_tile_kernel[(tiles,)](
            partial,
            d_grad_real,
            d_grad_fake,
            g_grad_real,
            g_grad_fake,
            real,
            fake,
            real.numel(),
            fake.numel(),
            FAMILY=family,
        )
        _gan_loss_merge_kernel[(1,)](
            d_loss, g_loss, statistics, partial, tiles, real.numel(), fake.numel(), BLOCK=MERGE_BLOCK
        )
    return d_loss, g_loss, statistics, d_grad_real, d_grad_fake, g_grad_real, g_grad_fake
