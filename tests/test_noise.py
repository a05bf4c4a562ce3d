"""The noise/1 format: published vectors, pinned values, independent slices, right distributions."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from fastgan import native, noise
from fastgan.noise import Stream

SEED = 0x0123456789ABCDEF
FIRST = 2**40 + 3

# The three known-answer vectors of Random123 (kat_vectors, philox4x32 10): counter, key, answer.
KNOWN_ANSWERS = [
    ((0,) * 4, (0,) * 2, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]

# Pinned for ever: computed with Python integers and 40-digit arithmetic, not with fastgan.
GOLDEN_BITS = [
    [0xDC6CC56D, 0xD73499C9, 0x322128D9, 0x4C5D529D, 0x6E7D03A6, 0x6856EA86],
    [0x6DD13421, 0x7F39D1C4, 0x2013BECC, 0xE2A340C6, 0x9BD8A194, 0xDD25CF25],
]
GOLDEN_NORMAL = [
    [1.08497988053, 0.997117966665, -0.856652521985, -0.529299095048, -0.172314694724, -0.233784260489],
    [-0.178988300354, -0.00758010621797, -1.1488869996, 1.20192415992, 0.276125805083, 1.09781871911],
]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS)
def test_philox_gives_the_published_known_answers(counter, key, answer):
    got = noise.philox4x32(np.array(counter, dtype=np.uint32), key)
    assert got.tolist() == list(answer)


def test_bits_are_pinned():
    assert noise.bits(SEED, Stream.TEST, FIRST, 2, 6).tolist() == GOLDEN_BITS
    digest = hashlib.sha256(noise.bits(7, Stream.LATENT, 0, 1000, 100).tobytes()).hexdigest()
    assert digest == "99912dec2025dff4f1815f0addd826cc54643aa80990d279d109d53cc5033c89"


def test_normals_are_pinned():
    got = noise.normal(SEED, Stream.TEST, FIRST, 2, 6)
    np.testing.assert_array_equal(got, np.array(GOLDEN_NORMAL, dtype=np.float32))
    digest = hashlib.sha256(noise.normal(7, Stream.LATENT, 0, 1000, 100).tobytes()).hexdigest()
    assert digest == "9940a0d49e55dca1ea02d5642a8c6a680ab75d918d9ba46a8770a87d84a7948d"


def test_derived_draws_are_pinned():
    assert noise.uniform(7, 3, 0, 1, 4).tolist() == [
        [0.6626472473144531, 0.4530618190765381, 0.3749997615814209, 0.9976683259010315]
    ]
    assert noise.integers(7, Stream.LABEL, 0, 12, 10).tolist() == [8, 7, 8, 6, 4, 4, 3, 8, 0, 4, 8, 3]
    assert noise.permutation(7, Stream.ORDER, 3, 12).tolist() == [10, 11, 0, 8, 6, 2, 3, 5, 7, 1, 4, 9]


def test_stream_numbers_are_pinned():
    names = "LATENT LABEL ORDER AUGMENT LATENT_D LATENT_G LABEL_D LABEL_G STATISTICS INIT SUBSET"
    assert [Stream[name].value for name in [*names.split(), "CLASSIFIER", "METRIC"]] == list(range(13))
    assert Stream.TEST == 1000


@pytest.mark.parametrize("draw", [noise.bits, noise.uniform, noise.normal])
@pytest.mark.parametrize("words", [1, 4, 7, 100])
def test_a_sample_does_not_depend_on_how_the_draws_are_cut(draw, words):
    first = 2**32 - 700  # crosses the carry into the high word of the counter
    whole = draw(SEED, Stream.LATENT, first, 1400, words)
    assert whole.shape == (1400, words) and whole.flags.c_contiguous
    for start, count in [(0, 1), (1, 699), (700, 1), (1399, 1), (3, 0), (650, 100)]:
        part = draw(SEED, Stream.LATENT, first + start, count, words)
        np.testing.assert_array_equal(part, whole[start : start + count])
    np.testing.assert_array_equal(
        draw(SEED, Stream.LATENT, first, 9, max(words // 2, 1)), whole[:9, : max(words // 2, 1)]
    )


def test_long_draws_are_cut_into_the_same_pieces():
    one_row = noise.normal(1, Stream.INIT, 5, 1, 300_001)
    np.testing.assert_array_equal(one_row[0, :1000], noise.normal(1, Stream.INIT, 5, 1, 1000)[0])
    assert np.isfinite(one_row).all()


def test_the_last_sample_of_the_index_space_can_be_drawn():
    words = noise.bits(0, Stream.TEST, 2**64 - 1, 1, 4)[0]
    counter = np.array([0xFFFFFFFF, 0xFFFFFFFF, 0, Stream.TEST], dtype=np.uint32)
    np.testing.assert_array_equal(words, noise.philox4x32(counter, (0, 0)))


def test_seed_stream_and_sample_all_matter():
    base = noise.bits(1, 0, 0, 1, 8)
    for other in (noise.bits(2, 0, 0, 1, 8), noise.bits(1 + 2**32, 0, 0, 1, 8), noise.bits(1, 1, 0, 1, 8)):
        assert not (base == other).any()
    assert not (base == noise.bits(1, 0, 2**32, 1, 8)).any()


def test_quantile_is_within_its_stated_error_of_scipy():
    edges = np.arange(100_000, dtype=np.uint32)
    words = np.concatenate([noise.bits(3, Stream.TEST, 0, 1, 500_000)[0], edges, ~edges])
    split = (2.0**32 * np.linspace(0.075 - 1e-6, 0.075 + 1e-6, 20_000)).astype(np.uint32)
    words = np.concatenate([words, split, ~split])
    expected = scipy.stats.norm.ppf((words + 0.5) * 2.0**-32)
    got = noise.inverse_normal_cdf(words)
    assert np.max(np.abs(got - expected) / np.abs(expected)) < 2e-15  # 1e-15 of ours and as much of scipy's
    rounded = got.astype(np.float32).astype(np.float64)
    assert np.max(np.abs(rounded - expected) / np.abs(expected)) < 2.0**-24 * 1.001
    assert np.max(np.abs(rounded - expected)) < 2.4e-7
    assert np.abs(got).max() < 6.34


def test_quantile_is_odd():
    words = noise.bits(4, Stream.TEST, 0, 1, 10_000)[0]
    np.testing.assert_array_equal(noise.inverse_normal_cdf(words), -noise.inverse_normal_cdf(~words))


def test_normals_have_the_moments_and_the_law_of_a_normal():
    x = noise.normal(11, Stream.LATENT, 0, 2000, 100).astype(np.float64)
    n = x.size
    for power, expected, spread in [(1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)]:
        assert abs((x**power).mean() - expected) < 4 * np.sqrt(spread / n), power
    assert scipy.stats.kstest(x.ravel(), "norm").pvalue > 0.001
    correlation = np.corrcoef(x[:, :20], rowvar=False) - np.eye(20)
    assert np.abs(correlation).max() < 5 / np.sqrt(2000)


def test_uniforms_fill_the_half_open_interval():
    x = noise.uniform(12, Stream.AUGMENT, 0, 1000, 100)
    assert x.dtype == np.float32 and x.min() >= 0 and x.max() < 1
    assert scipy.stats.kstest(x.ravel(), "uniform").pvalue > 0.001
    assert (x * 2.0**24 == np.floor(x * 2.0**24)).all()


@pytest.mark.parametrize("high", [1, 2, 10, 1000, 2**16, 2**32])
def test_integers_stay_in_range_and_are_even(high):
    drawn = noise.integers(13, Stream.LABEL, 0, 20_000, high)
    assert drawn.dtype == np.int64 and drawn.min() >= 0 and drawn.max() < high
    if high <= 1000:
        counts = np.bincount(drawn, minlength=high)
        assert high == 1 or scipy.stats.chisquare(counts).pvalue > 0.001


@pytest.mark.parametrize("n", [0, 1, 2, 1000, 50_000])
def test_permutation_is_a_permutation_and_changes_with_the_epoch(n):
    order = noise.permutation(14, Stream.ORDER, 0, n)
    assert order.dtype == np.int64
    np.testing.assert_array_equal(np.sort(order), np.arange(n))
    if n >= 1000:
        later = noise.permutation(14, Stream.ORDER, 1, n)
        assert np.mean(order == later) < 0.01
        assert abs(np.corrcoef(order, np.arange(n))[0, 1]) < 5 / np.sqrt(n)


def test_compiled_twin_gives_the_same_bits(need):
    need(native.host_missing(), "cpu")
    compiled = native.host()
    for seed, stream, first, count, words in [
        (0, 0, 0, 3, 5),
        (SEED, 1000, 2**32 - 2, 4, 100),
        (2**64 - 1, 9, 7, 1, 70_001),
    ]:
        arguments = (seed, stream, first, count, words)
        np.testing.assert_array_equal(compiled.philox_bits(*arguments), noise._bits_numpy(*arguments))
        ours, theirs = noise._normal_numpy(*arguments), compiled.philox_normal(*arguments)
        assert theirs.dtype == np.float32 and theirs.shape == (count, words)
        np.testing.assert_array_equal(ours.view(np.uint32), theirs.view(np.uint32))


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: noise.bits(-1, 0, 0, 1, 1), "seed"),
        (lambda: noise.bits(2**64, 0, 0, 1, 1), "seed"),
        (lambda: noise.normal(0, 2**32, 0, 1, 1), "stream"),
        (lambda: noise.uniform(0, 0, 0, -1, 1), "count"),
        (lambda: noise.bits(0, 0, 2**64 - 1, 2, 1), "first"),
        (lambda: noise.bits(0, 0, 0, 1, -1), "words"),
        (lambda: noise.integers(0, 0, 0, 1, 0), "high"),
        (lambda: noise.permutation(0, 0, 2**32, 3), "epoch"),
    ],
)
def test_arguments_out_of_range_are_named(call, named):
    with pytest.raises(ValueError, match=named):
        call()


def test_the_page_on_the_format_holds_the_coefficients_of_the_code():
    page = (Path(__file__).parents[1] / "docs" / "noise.md").read_text(encoding="utf-8")
    rows = re.findall(r"^    [0-7] +(\S+) +(\S+) +(\S+) +(\S+)$", page, flags=re.MULTILINE)
    columns = [tuple(float(value) for value in column) for column in zip(*rows, strict=True)]
    assert columns == [noise._CENTRE_NUM, noise._CENTRE_DEN, noise._TAIL_NUM, noise._TAIL_DEN]
