"""The random numbers of fastgan (format noise/1): each is a function of (seed, stream, sample, word) alone.

No state is kept anywhere: resuming, cutting work into parts or adding workers cannot change a draw.
docs/noise.md states the format so that it can be written again in any language; this file is its definition
in NumPy. Where the compiled module `fastgan._C` offers `philox_bits` and `philox_normal` (same arguments and
bits) they are used instead.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

try:
    from fastgan import _C as _compiled
except ImportError:
    _compiled = None

__all__ = [
    "NOISE_FORMAT",
    "Stream",
    "bits",
    "integers",
    "inverse_normal_cdf",
    "normal",
    "permutation",
    "philox4x32",
    "uniform",
]

NOISE_FORMAT = "noise/1"


class Stream(IntEnum):
    """What a draw is for. The values are part of the format: a number is never given a second meaning."""

    LATENT = 0
    LABEL = 1
    ORDER = 2
    AUGMENT = 3
    LATENT_D = 4
    LATENT_G = 5
    LABEL_D = 6
    LABEL_G = 7
    STATISTICS = 8
    INIT = 9
    SUBSET = 10
    CLASSIFIER = 11
    METRIC = 12
    TEST = 1000


_MASK32 = np.uint64(0xFFFFFFFF)
_SHIFT32 = np.uint64(32)
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_BLOCKS_AT_ONCE = 1 << 15  # keeps the temporaries of one step inside the cache

# Wichura's PPND16, lowest power first. Only two of its three regions exist here: the smallest tail
# probability is 2^-33, where sqrt(-log p) = 4.78 stays below 5.
_CENTRE_NUM = (
    3.3871328727963666080e0,
    1.3314166789178437745e2,
    1.9715909503065514427e3,
    1.3731693765509461125e4,
    4.5921953931549871457e4,
    6.7265770927008700853e4,
    3.3430575583588128105e4,
    2.5090809287301226727e3,
)
_CENTRE_DEN = (
    1.0,
    4.2313330701600911252e1,
    6.8718700749205790830e2,
    5.3941960214247511077e3,
    2.1213794301586595867e4,
    3.9307895800092710610e4,
    2.8729085735721942674e4,
    5.2264952788528545610e3,
)
_TAIL_NUM = (
    1.42343711074968357734e0,
    4.63033784615654529590e0,
    5.76949722146069140550e0,
    3.64784832476320460504e0,
    1.27045825245236838258e0,
    2.41780725177450611770e-1,
    2.27238449892691845833e-2,
    7.74545014278341407640e-4,
)
_TAIL_DEN = (
    1.0,
    2.05319162663775882187e0,
    1.67638483018380384940e0,
    6.89767334985100004550e-1,
    1.48103976427480074590e-1,
    1.51986665636164571966e-2,
    5.47593808499534494600e-4,
    1.05075007164441684324e-9,
)
_ATANH = tuple(1.0 / (2 * k + 1) for k in range(12))  # atanh(s)/s = sum s^2k / (2k + 1), |s| <= 0.1716
_SQRT_HALF = 0.70710678118654752440
_LN2_HIGH = 6.93147180369123816490e-01  # 33 significant bits: exact when multiplied by an exponent
_LN2_LOW = 1.90821492927058770002e-10


def philox4x32(counter: np.ndarray, key: tuple[int, int]) -> np.ndarray:
    """Philox4x32-10 of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).

    counter: uint32 [..., 4]; key: two integers in [0, 2^32). Returns uint32 [..., 4]. Integers only: exact.
    """
    c0, c1, c2, c3 = (counter[..., j].astype(np.uint64) for j in range(4))
    k0, k1 = key
    for _ in range(10):
        product0 = _MULTIPLIERS[0] * c0
        product1 = _MULTIPLIERS[1] * c2
        c0 = (product1 >> _SHIFT32) ^ c1 ^ np.uint64(k0)
        c2 = (product0 >> _SHIFT32) ^ c3 ^ np.uint64(k1)
        c1 = product1 & _MASK32
        c3 = product0 & _MASK32
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=-1).astype(np.uint32)


def bits(seed: int, stream: int, first: int, count: int, words: int) -> np.ndarray:
    """32 random bits for each word of samples first .. first + count - 1: uint32 [count, words].

    Word j of sample i is word j % 4 of Philox4x32-10 with key (seed low, seed high) and
    counter (i low, i high, j // 4, stream). A row depends on its own i only, never on `first` or `count`.

    Raises ValueError when seed is not in [0, 2^64), stream not in [0, 2^32), words not in [0, 2^32], or a
    sample index leaves [0, 2^64).
    """
    _check("bits", seed, stream, first, count, words)
    if hasattr(_compiled, "philox_bits"):
        return _compiled.philox_bits(int(seed), int(stream), int(first), int(count), int(words))
    return _bits_numpy(seed, stream, first, count, words)


def uniform(seed: int, stream: int, first: int, count: int, words: int) -> np.ndarray:
    """Uniform numbers in [0, 1): float32 [count, words], the top 24 of the `bits` times 2^-24 (exact)."""
    top = bits(seed, stream, first, count, words) >> np.uint32(8)
    return top.astype(np.float32) * np.float32(2.0**-24)


def normal(seed: int, stream: int, first: int, count: int, words: int) -> np.ndarray:
    """Standard normal numbers: float32 [count, words], `inverse_normal_cdf` of the `bits`, rounded once.

    |value| <= 6.34. Within 2^-24 (relative: half a unit in the last place) of the true quantile of
    (bits + 0.5) * 2^-32, hence within 2.4e-7 absolutely.
    """
    _check("normal", seed, stream, first, count, words)
    if hasattr(_compiled, "philox_normal"):
        return _compiled.philox_normal(int(seed), int(stream), int(first), int(count), int(words))
    return _normal_numpy(seed, stream, first, count, words)


def integers(seed: int, stream: int, first: int, count: int, high: int) -> np.ndarray:
    """One integer in [0, high) per sample: int64 [count], (word 0 * high) >> 32.

    No value's probability is off by more than 2^-32, a share of high * 2^-32 of itself: for high <= 2^16 the
    bias is at most 2^-16.
    Raises ValueError when high is not in [1, 2^32].
    """
    if not 1 <= high <= 1 << 32:
        raise ValueError(f"integers: high must be in [1, 2^32], got {high}")
    word = bits(seed, stream, first, count, 1)[:, 0].astype(np.uint64)
    return ((word * np.uint64(high)) >> _SHIFT32).astype(np.int64)


def permutation(seed: int, stream: int, epoch: int, n: int) -> np.ndarray:
    """A random order of 0 .. n - 1: int64 [n], another one for each epoch.

    The stable argsort of the 64-bit keys (word 1 * 2^32 + word 0) of the n samples from epoch * 2^32 on.
    Raises ValueError when epoch or n is not in [0, 2^32).
    """
    for name, value in (("epoch", epoch), ("n", n)):
        if not 0 <= value < 1 << 32:
            raise ValueError(f"permutation: {name} must be in [0, 2^32), got {value}")
    words = bits(seed, stream, int(epoch) << 32, n, 2).astype(np.uint64)
    return np.argsort((words[:, 1] << _SHIFT32) | words[:, 0], kind="stable").astype(np.int64, copy=False)


def inverse_normal_cdf(words: np.ndarray) -> np.ndarray:
    """The standard normal quantile of p = (words + 0.5) * 2^-32: uint32 [...] to float64 [...].

    Algorithm AS 241, PPND16: M. J. Wichura, "The percentage points of the normal distribution", Applied
    Statistics 37 (1988) 477-484. Within 1e-15 (relative) of the true quantile. Only IEEE + - * / and sqrt on
    float64, in this order and without fused multiply-add, so that any language gives the same bits
    (H = Horner's rule from the highest power):

    1. q = p - 0.5 and the tail probability t = min(p, 1 - p), both exact.
    2. |q| <= 0.425:  r = 0.180625 - q * q;  value = (q * H(centre_num, r)) / H(centre_den, r).
    3. Otherwise:  r = sqrt(-log(t)) - 1.6;  value = H(tail_num, r) / H(tail_den, r), negated where q < 0.

    The logarithm of step 3 is `_log`.
    """
    p = (words.astype(np.float64) + 0.5) * 2.0**-32
    q = p - 0.5
    r = 0.180625 - q * q
    value = (q * _horner(_CENTRE_NUM, r)) / _horner(_CENTRE_DEN, r)
    tail = np.abs(q) > 0.425
    q, p = q[tail], p[tail]
    r = np.sqrt(-_log(np.where(q < 0, p, 1.0 - p))) - 1.6
    quantile = _horner(_TAIL_NUM, r) / _horner(_TAIL_DEN, r)
    value[tail] = np.where(q < 0, -quantile, quantile)
    return value


def _log(x: np.ndarray) -> np.ndarray:
    """Natural logarithm of normal float64 numbers in (0, 1), from + - * / only.

    1. x = m * 2^e with m in [0.5, 1), read off the bits; where m < sqrt(0.5): m = m * 2, e = e - 1.
    2. s = (m - 1) / (m + 1), w = s * s, log(m) = (2 * s) * H(atanh, w), atanh_k = 1 / (2k + 1), k = 0 .. 11.
    3. log(x) = e * ln2_high + (e * ln2_low + log(m)).
    """
    pattern = x.view(np.uint64)
    e = (pattern >> np.uint64(52)).astype(np.float64) - 1022.0
    m = ((pattern & np.uint64(0x000FFFFFFFFFFFFF)) | np.uint64(0x3FE0000000000000)).view(np.float64)
    low = m < _SQRT_HALF
    m = np.where(low, m * 2.0, m)
    e = np.where(low, e - 1.0, e)
    s = (m - 1.0) / (m + 1.0)
    log_m = (2.0 * s) * _horner(_ATANH, s * s)
    return e * _LN2_HIGH + (e * _LN2_LOW + log_m)


def _horner(coefficients: tuple[float, ...], x: np.ndarray) -> np.ndarray:
    value = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value *= x
        value += coefficient
    return value


def _bits_numpy(seed: int, stream: int, first: int, count: int, words: int) -> np.ndarray:
    blocks = -(-words // 4)
    key = (int(seed) & 0xFFFFFFFF, int(seed) >> 32)
    out = np.empty((count * blocks, 4), dtype=np.uint32)
    for start in range(0, count * blocks, _BLOCKS_AT_ONCE):
        flat = np.arange(start, min(start + _BLOCKS_AT_ONCE, count * blocks), dtype=np.uint64)
        sample = np.uint64(first) + flat // np.uint64(blocks)
        counter = np.empty((flat.size, 4), dtype=np.uint32)
        counter[:, 0] = (sample & _MASK32).astype(np.uint32)
        counter[:, 1] = (sample >> _SHIFT32).astype(np.uint32)
        counter[:, 2] = (flat % np.uint64(blocks)).astype(np.uint32)
        counter[:, 3] = stream
        out[start : start + flat.size] = philox4x32(counter, key)
    return np.ascontiguousarray(out.reshape(count, blocks * 4)[:, :words])


def _normal_numpy(seed: int, stream: int, first: int, count: int, words: int) -> np.ndarray:
    drawn = _bits_numpy(seed, stream, first, count, words).reshape(-1)
    out = np.empty(drawn.size, dtype=np.float32)
    for start in range(0, drawn.size, _BLOCKS_AT_ONCE):
        part = slice(start, start + _BLOCKS_AT_ONCE)
        out[part] = inverse_normal_cdf(drawn[part])
    return out.reshape(count, words)


def _check(op: str, seed: int, stream: int, first: int, count: int, words: int) -> None:
    if not 0 <= seed < 1 << 64:
        raise ValueError(f"{op}: seed must be in [0, 2^64), got {seed}")
    if not 0 <= stream < 1 << 32:
        raise ValueError(f"{op}: stream must be in [0, 2^32), got {stream}")
    if not 0 <= words <= 1 << 32:
        raise ValueError(f"{op}: words must be in [0, 2^32], got {words}")
    if count < 0 or first < 0 or int(first) + int(count) > 1 << 64:
        raise ValueError(
            f"{op}: samples first .. first + count must lie in [0, 2^64), got first={first}, count={count}"
        )
