"""The native convolutions at shapes for which another algorithm than the direct sum is chosen.

The rounding errors of the minimal ones, F(2x2, 2x2) and F(4x4, 2x2), may be larger than those of direct sums: here a
result may be four times as far off as stock torch's, not twice.
"""

import pytest
import torch
from native_cases import Geometry, as_double, dtype_name, geometry_name, make_case
from support.tolerances import assert_as_good_as

SHAPES = [
    Geometry(True, 3, (64, 48), (8, 8)),
    Geometry(False, 3, (48, 64), (16, 16)),
    Geometry(True, 2, (70, 37), (7, 9)),  # half of the last tiles is outside; channels left over
    Geometry(False, 2, (37, 70), (14, 18)),
    Geometry(True, 2, (33, 32), (8, 6), padding=(0, 3)),
    Geometry(False, 2, (33, 32), (12, 16), padding=(0, 3)),
    Geometry(True, 2, (40, 36), (8, 8), padding=(2, 2), output_padding=(1, 0)),
    Geometry(False, 2, (40, 36), (17, 16), padding=(2, 1)),  # a row left over
    Geometry(True, 1, (34, 33), (41, 40)),  # bands of one image
    Geometry(False, 1, (33, 34), (81, 80)),
    Geometry(True, 40, (600, 33), (4, 4)),  # slabs of channels, groups of images
    Geometry(False, 40, (160, 130), (8, 8)),
    Geometry(True, 70, (34, 65), (8, 8)),  # chunks of the weight gradient
]
# To a few channels, of the transposed convolution or of the other one's input gradient.
NARROW = [
    Geometry(True, 3, (64, 3), (16, 20)),
    Geometry(True, 2, (70, 4), (9, 33), padding=(3, 1)),
    Geometry(True, 2, (9, 1), (3, 47), output_padding=(1, 1)),
    Geometry(False, 3, (3, 64), (32, 40)),
    Geometry(False, 2, (2, 130), (18, 66), padding=(1, 3)),
    Geometry(False, 2, (4, 8), (9, 35)),
]
SHAPES += NARROW
shapes = pytest.mark.parametrize("geometry", SHAPES, ids=geometry_name)
kinds = pytest.mark.parametrize("transposed", [False, True], ids=["conv", "transposed"])


def assert_close(ours, stock, exact) -> None:
    assert_as_good_as(ours, stock, exact, factor=4.0)


@shapes
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=dtype_name)
def test_forward(geometry, dtype, leaf):
    case = make_case(geometry, dtype)
    for ours, stock, exact in zip(case.leaf_forward(leaf), case.forward(), case.double().forward(), strict=True):
        assert_close(ours, stock, exact)


@shapes
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=dtype_name)
def test_gradients(geometry, dtype, leaf):
    case = make_case(geometry, dtype)
    y, mean, _ = case.forward()
    exact, needed = case.double(), (True, True, True)
    stored = as_double(y), as_double(mean)
    ours = *case.leaf_input_grad(leaf, y, mean, needed), case.leaf_weight_grad(leaf, y, mean)
    stock = *case.input_grad(y, mean, needed), case.weight_grad(y, mean)
    right = *exact.input_grad(*stored, needed), exact.weight_grad(*stored)
    for actual, theirs, truth in zip(ours, stock, right, strict=True):
        assert_close(actual, theirs, truth)


@kinds
@pytest.mark.parametrize(
    ("size", "channels"),
    [((4, 4), (68, 84)), ((16, 16), (68, 84)), ((34, 34), (68, 84)), ((8, 17), (20, 3)), ((8, 17), (3, 20))],
    ids=["several images", "one image", "bands", "to few channels", "from few channels"],
)
def test_bits_depend_on_neither_batch_nor_threads(transposed, size, channels, leaf):
    """Those of outputs, dx and of rows per sample, image by image; those of sums over images, on threads."""
    size = size if transposed else (2 * size[0], 2 * size[1])
    case = make_case(Geometry(transposed, 21, channels, size), rows=("many", "one"), gradients=(True, False, False))
    needed = True, True, True

    def results(images):
        part = case._replace(
            geometry=case.geometry._replace(images=images),
            input=case.input[:images],
            scale=case.scale[:images],
            grad_output=case.grad_output[:images],
        )
        by_image = part.leaf_forward(leaf, False)[0], *part.leaf_input_grad(leaf, None, None, needed)[:2]
        return *by_image, *part.leaf_forward(leaf)[1:], part.leaf_weight_grad(leaf, None, None)

    whole = results(21)
    for images in (1, 3, 16, 21):
        runs = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            runs.append(results(images))
        for run in runs:
            assert all(torch.equal(a, b[:images]) for a, b in zip(run[:3], whole[:3], strict=True))
            assert all(torch.equal(a, b) for a, b in zip(run, runs[0], strict=True))


@kinds
@pytest.mark.parametrize("where", ["input", "weight", "scale", "grad_output"])
@pytest.mark.parametrize("channels", [(40, 48), (40, 3), (3, 40)], ids=lambda pair: f"{pair[0]}-{pair[1]}")
def test_non_finite_values_stay_where_they_are(transposed, where, channels, leaf):
    """As in stock torch, and infinite where it has infinity, of which the algorithm takes differences."""
    size = (7, 19) if transposed else (14, 38)
    activation = "relu" if where == "scale" else "none"
    gradients = True, False, False
    case = make_case(
        Geometry(transposed, 3, channels, size), activation=activation, rows=("many", "one"), gradients=gradients
    )
    for n, value in enumerate((float("nan"), float("inf"), -float("inf"))):
        tensor = getattr(case, where)
        index = {4: (n % 2, n, n % 4, 2 * n % 4), 2: (0, n)}[tensor.ndim]
        tensor[index] = value
    needed = True, True, True
    y, mean, _ = case.forward()
    ours = (
        case.leaf_forward(leaf)[0],
        *case.leaf_input_grad(leaf, None, None, needed),
        case.leaf_weight_grad(leaf, None, None),
    )
    stock = y, *case.input_grad(y, mean, needed), case.weight_grad(y, mean)
    for actual, theirs in zip(ours, stock, strict=True):
        assert torch.equal(actual.isfinite(), theirs.isfinite())
        assert torch.equal(actual.isnan(), theirs.isnan())
        finite = theirs.isfinite()
        torch.testing.assert_close(actual[finite], theirs[finite], rtol=1e-4, atol=1e-4)


@kinds
def test_differences_that_overflow(transposed, leaf):
    """Neighbours of opposite sign near the largest float, and weights so small that all outputs are finite."""
    size = (8, 8) if transposed else (16, 16)
    case = make_case(Geometry(transposed, 2, (40, 48), size), activation="none", rows=(None, None), bias=False)
    case.input[1, 3, 4, 2:6] = torch.tensor([3e38, -3e38, 3e38, -3e38])
    case.grad_output[0, 5, 3, 2:6] = torch.tensor([3e38, -3e38, 3e38, -3e38])
    case = case._replace(weight=case.weight * 1e-3, grad_mean=None, grad_var=None)
    needed = True, False, False
    ours = case.leaf_forward(leaf, False)[0], case.leaf_input_grad(leaf, None, None, needed)[0]
    stock = case.forward()[0], case.input_grad(None, None, needed)[0]
    for actual, theirs in zip(ours, stock, strict=True):
        assert theirs.isfinite().all() and actual.isfinite().all()
        torch.testing.assert_close(actual, theirs, rtol=1e-4, atol=1e-4 * theirs.abs().max().item() * 1e-3)


@kinds
def test_empty_batch(transposed, leaf):
    case = make_case(Geometry(transposed, 0, (40, 48), (8, 8)), rows=("one", "many"))
    y, mean, _ = case.leaf_forward(leaf)
    assert y.shape == (0, 48, *case.geometry.output_size())
    dx, dscale, _ = case.leaf_input_grad(leaf, y, mean, (True, True, True))
    assert dx.shape == case.input.shape and torch.equal(dscale, torch.zeros(1, 40))
    assert torch.equal(case.leaf_weight_grad(leaf, y, mean), torch.zeros_like(case.weight))
