"""The native gradients of the chain operators against the definitions' composition: values, bits, edges."""

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

shapes = pytest.mark.parametrize("geometry", SHAPES, ids=geometry_name)
dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=dtype_name)
kinds = pytest.mark.parametrize("transposed", [False, True], ids=["conv", "transposed"])


def check(case, leaf, needed=None) -> None:
    needed = needed or (True, case.scale is not None, case.shift is not None)
    y, mean, _ = case.forward()
    exact = case.double()
    stored = (None, None) if case.grad_mean is None and case.grad_var is None else (y, mean)

    ours = case.leaf_input_grad(leaf, *stored, needed)
    stock = case.input_grad(y, mean, needed)
    for wanted, actual, theirs, right in zip(
        needed, ours, stock, exact.input_grad(y.double(), mean.double(), needed), strict=True
    ):
        if wanted:
            assert_right(actual, theirs, right)
        else:
            assert actual.shape == (0,)
    assert not needed[0] or ours[0].is_contiguous(memory_format=torch.channels_last)

    dw = case.leaf_weight_grad(leaf, *stored)
    assert_right(dw, case.weight_grad(y, mean), exact.weight_grad(y.double(), mean.double()))
    assert dw.is_contiguous()


@shapes
@dtypes
def test_values(geometry, dtype, leaf):
    check(make_case(geometry, dtype), leaf)


@kinds
def test_more_images_than_fit_at_once(transposed, leaf):
    """The weight gradient of several chunks of images, the last one short."""
    size = (24, 24) if transposed else (48, 48)
    check(make_case(Geometry(transposed, 17, (40, 33) if transposed else (33, 40), size)), leaf)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    geometries(),
    st.sampled_from(["none", "leaky_relu", "relu"]),
    st.tuples(*[st.sampled_from([None, "one", "many"])] * 2),
    st.booleans(),
    st.tuples(*[st.booleans()] * 3).filter(any),
    st.booleans(),
)
def test_any_geometry(leaf, geometry, activation, rows, bias, gradients, channels_last):
    case = make_case(geometry, torch.float64, activation, rows, bias, gradients, channels_last)
    check(case, leaf)


@kinds
@pytest.mark.parametrize("channels", CHANNELS)
def test_channel_and_pixel_tails(transposed, channels, leaf):
    for pair in ((2, channels), (channels, 2)):
        check(make_case(Geometry(transposed, 2, pair, (3, channels), (3, 3), (1, 1))), leaf)


@kinds
@pytest.mark.parametrize("needed", [(True, False, False), (False, True, False), (False, False, True)])
def test_only_what_is_needed(transposed, needed, leaf):
    check(make_case(Geometry(transposed), activation="none"), leaf, needed)
    check(make_case(Geometry(transposed), activation="relu"), leaf, needed)


@kinds
@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "every second column", "expanded"])
def test_layouts_of_the_incoming_gradient(transposed, layout, leaf):
    case = make_case(Geometry(transposed, 3, (7, 18), (6, 4)), channels_last=layout == "channels_last")
    grad = case.grad_output
    if layout == "channels_last":
        grad = grad.contiguous(memory_format=torch.channels_last)
    elif layout == "every second column":
        wide = torch.zeros(*grad.shape[:3], 2 * grad.shape[3])
        wide[..., ::2] = grad
        grad = wide[..., ::2]
    elif layout == "expanded":
        grad = grad[:1, :, :1, :1].expand(grad.shape)
    check(case._replace(grad_output=grad), leaf)


@kinds
def test_bits_depend_on_neither_batch_nor_threads(transposed, leaf):
    """Those of dx and of rows per sample, image by image; those of sums over images, on threads."""
    geometry = Geometry(transposed, 100, (24, 20), (8, 8))
    case = make_case(geometry, rows=("many", "one"), gradients=(True, False, False))
    needed = True, True, True
    whole = case.leaf_input_grad(leaf, None, None, needed)
    for images in (1, 7, 64, 100):
        part = case._replace(
            geometry=geometry._replace(images=images),
            input=case.input[:images],
            scale=case.scale[:images],
            grad_output=case.grad_output[:images],
        )
        runs = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            runs.append((*part.leaf_input_grad(leaf, None, None, needed), part.leaf_weight_grad(leaf, None, None)))
        for run in runs:
            assert torch.equal(run[0], whole[0][:images]) and torch.equal(run[1], whole[1][:images])
            assert all(torch.equal(a, b) for a, b in zip(run, runs[0], strict=True))


@kinds
@pytest.mark.parametrize("where", ["input", "weight", "grad_output"])
def test_non_finite_values_stay_where_they_are(transposed, where, leaf):
    """As in stock torch in float32: what is outside the image multiplies nothing.

    (Where a stride leaves a column over, stock torch multiplies an infinite weight by zeros there; we do not.)
    """
    case = make_case(Geometry(transposed, 2, (16, 16), (8, 8)), activation="none", gradients=(True, False, False))
    for n, value in enumerate((float("nan"), float("inf"), -float("inf"))):
        getattr(case, where)[n % 2, n, n % 3, 0] = value
    needed = (True, True, True)
    y, mean, _ = case.forward()
    ours = *case.leaf_input_grad(leaf, None, None, needed), case.leaf_weight_grad(leaf, None, None)
    stock = *case.input_grad(y, mean, needed), case.weight_grad(y, mean)
    for actual, theirs in zip(ours, stock, strict=True):
        assert torch.equal(actual.isfinite(), theirs.isfinite())


@kinds
def test_empty_batch(transposed, leaf):
    case = make_case(Geometry(transposed, 0), rows=("one", "many"))
    y, mean, _ = case.leaf_forward(leaf)
    dx, dscale, dshift = case.leaf_input_grad(leaf, y, mean, (True, True, True))
    assert dx.shape == case.input.shape and dshift.shape == (0, 3)
    assert torch.equal(dscale, torch.zeros(1, 3))
    assert torch.equal(case.leaf_weight_grad(leaf, y, mean), torch.zeros_like(case.weight))


def test_memory_is_not_trusted(leaf):
    case = make_case(Geometry())
    y, mean, _ = case.leaf_forward(leaf)
    needed = True, True, True
    with pytest.raises(RuntimeError, match="output must have the shape of grad_output"):
        case.leaf_input_grad(leaf, y[:1], mean, needed)
    with pytest.raises(RuntimeError, match="grad_var needs output and mean"):
        case.leaf_weight_grad(leaf, y, None)
    with pytest.raises(RuntimeError, match="input must have the shape of its gradient"):
        case._replace(input=case.input[:, :, 1:]).leaf_input_grad(leaf, y, mean, needed)
    with pytest.raises(RuntimeError, match="no gradient for a scale or shift"):
        case._replace(scale=None).leaf_input_grad(leaf, y, mean, needed)
