"""The C++ twin of noise/1 gives the bits of the NumPy definition."""

import numpy as np
import pytest

from fastgan import native, noise


@pytest.fixture
def compiled(need):
    need(native.host_missing(), "cpu")
    return native.host()


SEEDS = [0, 1, 12345, 2**32 - 1, 2**32, 2**63, 2**64 - 1]
STREAMS = [0, 7, 1000, 2**32 - 1]
FIRSTS = [0, 5, 2**32 - 3, 2**32, 2**63 - 2, 2**64 - 9]


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("seed", SEEDS)
def test_bits_and_normals_are_equal(compiled, seed, stream):
    for first in FIRSTS:
        for words in (1, 3, 4, 5, 100):
            arguments = (seed, stream, first, 9, words)
            bits, normal = compiled.philox_bits(*arguments), compiled.philox_normal(*arguments)
            assert bits.dtype == np.uint32 and normal.dtype == np.float32
            np.testing.assert_array_equal(bits, noise._bits_numpy(*arguments))
            np.testing.assert_array_equal(normal.view(np.uint32), noise._normal_numpy(*arguments).view(np.uint32))


def test_a_million_normals_are_equal(compiled):
    ours = compiled.philox_normal(3, 1000, 0, 10_000, 100)
    np.testing.assert_array_equal(ours.view(np.uint32), noise._normal_numpy(3, 1000, 0, 10_000, 100).view(np.uint32))
    assert abs(ours.mean()) < 4e-3 and abs(ours.std() - 1) < 3e-3


def test_empty_requests(compiled):
    assert compiled.philox_bits(1, 1, 0, 0, 5).shape == (0, 5)
    assert compiled.philox_normal(1, 1, 0, 5, 0).shape == (5, 0)


@pytest.mark.parametrize("arguments", [(-1, 0, 0, 1, 1), (2**64, 0, 0, 1, 1), (0, 2**32, 0, 1, 1), (0, 0, 0, -1, 1)])
def test_values_outside_the_format_are_refused(compiled, arguments):
    with pytest.raises((TypeError, ValueError)):
        compiled.philox_bits(*arguments)


def test_the_public_functions_use_it(compiled):
    assert noise._compiled is compiled
