"""The native forward pass of the chain operators against the definition: values, statistics, bits, edges."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from native_cases import (
    CHANNELS,
    DTYPES,
    SHAPES,
    Geometry,
    assert_right,
    dtype_name,
    geometries,
    geometry_name,
    make_case,
)

from fastgan.reference import channel_statistics as statistics

shapes = pytest.mark.parametrize("geometry", SHAPES, ids=geometry_name)
dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=dtype_name)
kinds = pytest.mark.parametrize("transposed", [False, True], ids=["conv", "transposed"])


def check(case, leaf) -> None:
    y, mean, var = case.leaf_forward(leaf)
    assert_right(y, case.forward()[0], case.double().forward()[0])
    assert y.is_contiguous(memory_format=torch.channels_last)
    bias = None if case.bias is None else case.bias.double()
    exact, stock = statistics.channel_statistics(y.double(), bias), statistics.channel_statistics(y, case.bias)
    assert_right(mean, stock[0], exact[0])
    assert_right(var, stock[1], exact[1])


@shapes
@dtypes
def test_values_and_statistics(geometry, dtype, leaf):
    check(make_case(geometry, dtype), leaf)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    geometries(),
    st.sampled_from([torch.float32, torch.bfloat16]),
    st.sampled_from(["none", "leaky_relu", "relu"]),
    st.tuples(*[st.sampled_from([None, "one", "many"])] * 2),
    st.booleans(),
    st.booleans(),
)
def test_any_geometry(leaf, geometry, dtype, activation, rows, bias, channels_last):
    check(make_case(geometry, dtype, activation, rows, bias, channels_last=channels_last), leaf)


@kinds
@pytest.mark.parametrize("channels", CHANNELS)
def test_channel_and_pixel_tails(transposed, channels, leaf):
    """Around the width of a panel and of a vector; widths 1 to 17 put every tail into a block of pixels."""
    for other, width in ((2, channels), (channels, 2)):
        size = (1, width) if channels > 9 else (width, 3)
        check(make_case(Geometry(transposed, 4, (other, channels), size, (3, 3), (1, 1))), leaf)
        halved = Geometry(transposed, 4, (channels, other), (2, width + 1), (2, 2), (2, 2), (0, 0))
        check(make_case(halved), leaf)


@kinds
@pytest.mark.parametrize("layout", ["contiguous", "every second column", "expanded", "weight channels_last"])
def test_layouts(transposed, layout, leaf):
    case = make_case(Geometry(transposed, 3, (5, 18), (6, 4)), channels_last=False)
    if layout == "every second column":
        wide = torch.zeros(3, 5, 6, 8)
        wide[..., ::2] = case.input
        case = case._replace(input=wide[..., ::2])
    elif layout == "expanded":
        case = case._replace(input=case.input[:1, :1].expand(3, 5, 6, 4))
    elif layout == "weight channels_last":
        case = case._replace(weight=case.weight.contiguous(memory_format=torch.channels_last))
    check(case, leaf)


@kinds
def test_without_statistics_the_map_is_the_same(transposed, leaf):
    case = make_case(Geometry(transposed))
    y, mean, var = case.leaf_forward(leaf, want_statistics=False)
    assert mean.shape == var.shape == (0,)
    assert torch.equal(y, case.leaf_forward(leaf)[0])


@kinds
def test_bits_depend_on_neither_batch_nor_threads(transposed, leaf):
    geometry = Geometry(transposed, 100, (24, 20), (8, 8))
    case = make_case(geometry, rows=("many", "one"))
    whole = case.leaf_forward(leaf)
    for images in (1, 7, 64, 100):
        part = case._replace(
            geometry=geometry._replace(images=images), input=case.input[:images], scale=case.scale[:images]
        )
        runs = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            runs.append(part.leaf_forward(leaf))
        for run in runs:
            assert torch.equal(run[0], whole[0][:images])
            assert all(torch.equal(a, b) for a, b in zip(run, runs[0], strict=True))


@kinds
def test_padding_is_of_the_activated_map(transposed, leaf):
    """Zeros with shift 3 become 3 inside; outside nothing is added."""
    case = make_case(Geometry(transposed, 1, (1, 1), (4, 4), (3, 3), (1, 1), (1, 1)), bias=False)
    ones = torch.ones_like
    case = case._replace(input=0 * case.input, weight=ones(case.weight), shift=3 * ones(case.shift))
    y = case.leaf_forward(leaf)[0]
    assert torch.equal(y[0, 0, 0], torch.tensor([12.0, 18.0, 18.0, 12.0]))
    assert torch.equal(y[0, 0, 1], torch.tensor([18.0, 27.0, 27.0, 18.0]))


def test_statistics_far_from_zero(leaf):
    """mean / std = 1e4: single-precision sums of squares would have no digit left."""
    x = 1e4 + torch.randn(4, 17, 20, 20, generator=torch.Generator().manual_seed(0))
    case = make_case(Geometry(False, 4, (17, 17), (20, 20), (1, 1), (1, 1), (0, 0)), activation="none", bias=False)
    case = case._replace(input=x, weight=torch.eye(17)[:, :, None, None], scale=None, shift=None)
    y, mean, var = case.leaf_forward(leaf)
    assert torch.equal(y, x)
    exact = statistics.channel_statistics(x.double(), None)
    torch.testing.assert_close((mean.double(), var.double()), exact, rtol=1e-6, atol=0)


def test_statistics_are_of_the_stored_map_before_bias(leaf):
    case = make_case(Geometry(channels=(3, 17)), torch.bfloat16)
    case = case._replace(bias=case.bias + 100)
    y, mean, var = case.leaf_forward(leaf)
    exact = statistics.channel_statistics(y.double(), case.bias.double())
    torch.testing.assert_close((mean.double(), var.double()), exact, rtol=1e-6, atol=1e-6)


@kinds
@pytest.mark.parametrize("where", ["input", "weight", "scale", "bias"])
def test_non_finite_values_stay_where_they_are(transposed, where, leaf):
    """As in stock torch in float32; a tap outside the image does not multiply an infinite weight."""
    case = make_case(Geometry(transposed, 2, (16, 16), (7, 7)), activation="relu", rows=("many", "one"))
    for n, value in enumerate((float("nan"), float("inf"), -float("inf"))):
        tensor = getattr(case, where)
        index = {4: (n % 2, n, n % 4, 2 * n % 4), 2: (0, n), 1: (n,)}[tensor.ndim]
        tensor[index] = value
    stock = case.forward()
    for ours, theirs in zip(case.leaf_forward(leaf), stock, strict=True):
        assert torch.equal(ours.isfinite(), theirs.isfinite())
    finite = stock[0].isfinite()
    assert not finite.all() and finite.any()
    torch.testing.assert_close(case.leaf_forward(leaf)[0][finite], stock[0][finite], rtol=1e-5, atol=1e-5)


@kinds
def test_empty_batch(transposed, leaf):
    case = make_case(Geometry(transposed, 0))
    y, mean, var = case.leaf_forward(leaf)
    assert y.shape == (0, 5, *case.geometry.output_size())
    assert mean.isnan().all() and var.isnan().all() and mean.shape == var.shape == (5,)


def test_memory_is_not_trusted(leaf):
    case = make_case(Geometry())
    case.leaf_forward(leaf)
    with pytest.raises(RuntimeError, match="weight does not match"):
        case._replace(weight=torch.zeros(5, 4, 4, 4)).leaf_forward(leaf)
    with pytest.raises(RuntimeError, match="bias must be"):
        case._replace(bias=torch.zeros(4)).leaf_forward(leaf)
    with pytest.raises(RuntimeError, match="scale has the wrong dtype"):
        case._replace(scale=case.scale.double()).leaf_forward(leaf)
    with pytest.raises(RuntimeError, match="shift must be"):
        case._replace(shift=torch.zeros(3, 3)).leaf_forward(leaf)
