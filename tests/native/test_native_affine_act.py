"""The native passes affine_act and affine_act_backward against their definitions."""

import itertools

import pytest
import torch
from native_cases import DTYPES, as_double, assert_right, dtype_name

from fastgan.models.pixels import to_uint8
from fastgan.reference import affine_act as reference

SHAPES = [
    (2, 3, 5, 7),
    (3, 17, 4, 4),
    (2, 40, 1, 1),
    (5, 33),
    (2, 5, 70, 70),
    (1, 1200, 2, 2),
    (2, 1, 9, 9),
    (0, 3, 2, 2),
]
ROWS = [(None, None), ("one", "one"), ("many", "one"), (None, "many"), ("one", None)]
dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=dtype_name)
shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
activations = pytest.mark.parametrize("activation", reference.ACTIVATIONS)


def make(shape, dtype, rows, channels_last=False):
    """input, scale, shift and an upstream gradient."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape, to=dtype):
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(to)

    counts = {"one": 1, "many": shape[0]}
    vectors = [None if row is None else normal(counts[row], shape[1], to=reference.widened(dtype)) for row in rows]
    maps = normal(*shape), normal(*shape)
    if channels_last and len(shape) == 4:
        maps = [m.contiguous(memory_format=torch.channels_last) for m in maps]
    return maps[0], *vectors, maps[1]


def layouts(shape):
    return (False, True) if len(shape) == 4 else (False,)


@activations
@shapes
@dtypes
def test_values(dtype, shape, activation, pass_leaf):
    """Scale, shift and the activations without a transcendental give the bits of stock torch."""
    for rows, channels_last in itertools.product(ROWS, layouts(shape)):
        x, scale, shift, _ = make(shape, dtype, rows, channels_last)
        ours = pass_leaf.affine_act(x, scale, shift, reference.ACTIVATIONS.index(activation), 0.3, False)
        stock = reference.affine_act(x, scale, shift, activation, 0.3)
        assert ours.dtype == stock.dtype and (ours.numel() == 0 or ours.stride() == stock.stride())
        if activation == "tanh":
            exact = reference.affine_act(x.double(), as_double(scale), as_double(shift), activation, 0.3)
            assert_right(ours, stock, exact)
        else:
            assert torch.equal(ours, stock)


@activations
@dtypes
def test_pixels_have_the_bits_of_to_uint8(dtype, activation, pass_leaf):
    for shape, channels_last in itertools.product(((3, 3, 9, 11), (2, 1, 64, 64), (2, 4, 1, 1)), (False, True)):
        x, scale, shift, _ = make(shape, dtype, ("one", "many"), channels_last)
        arguments = x, scale, shift, reference.ACTIVATIONS.index(activation), 0.3
        pixels = pass_leaf.affine_act(*arguments, True)
        assert pixels.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(pixels.permute(0, 2, 3, 1), to_uint8(pass_leaf.affine_act(*arguments, False)))


def test_pixels_round_half_to_even_and_are_cut(pass_leaf):
    """All values k / 2 of the pixel scale, and what lies beyond it."""
    halves = torch.arange(-8, 520, dtype=torch.float32) / 2 / 127.5 - 1
    ends = torch.tensor([1e30, -1e30, float("inf"), -float("inf"), 3.4e38])
    x = torch.cat([halves, ends]).view(1, 1, 13, 41)
    assert torch.equal(pass_leaf.affine_act(x, None, None, 0, 1.0, True)[0, 0, :, :, None], to_uint8(x)[0])


def test_every_half_and_bfloat16_rounds_as_in_torch(pass_leaf):
    for dtype in (torch.float16, torch.bfloat16):
        x = torch.arange(-(2**15), 2**15, dtype=torch.int16).view(dtype).view(2, 2**15)
        for factor in (1.0, 0.3337, 1e-4, 2.0**-14, 1.0009765625, 300.0):
            scale = torch.full((1, 2**15), factor)
            ours, stock = pass_leaf.affine_act(x, scale, None, 0, 1.0, False), (x.float() * scale).to(dtype)
            finite = ~stock.isnan()
            assert torch.equal(ours.isnan(), stock.isnan())
            assert torch.equal(ours[finite], stock[finite])


def test_tanh_everywhere(pass_leaf):
    """Within two ulp of the value itself from the smallest subnormal on; odd, and 1 at infinity."""
    x = torch.cat([torch.linspace(-12, 12, 200_001), torch.logspace(-45, 2, 100_000)])[None]
    exact = torch.tanh(x.double())
    error = (pass_leaf.affine_act(x, None, None, 3, 0.0, False).double() - exact).abs()
    assert (error <= 2 * 2.0**-23 * exact.abs() + 2.0**-149).all()
    odd = torch.tensor([[float("inf"), -float("inf"), 0.0, 40.0]])
    assert torch.equal(pass_leaf.affine_act(odd, None, None, 3, 0.0, False), torch.tensor([[1.0, -1.0, 0.0, 1.0]]))


@activations
@shapes
@dtypes
def test_gradients(dtype, shape, activation, pass_leaf):
    for rows, channels_last in itertools.product(ROWS, layouts(shape)):
        x, scale, shift, grad = make(shape, dtype, rows, channels_last)
        needed = True, scale is not None, shift is not None
        index = reference.ACTIVATIONS.index(activation)
        given = x if reference.reads_input(activation, needed) else None
        ours = pass_leaf.affine_act_backward(grad, given, scale, shift, index, 0.3, *needed)
        stock = reference.affine_act_backward(grad, x, scale, shift, activation, 0.3, needed)
        doubles = grad.double(), x.double(), as_double(scale), as_double(shift)
        exact = reference.affine_act_backward(*doubles, activation, 0.3, needed)
        for wanted, actual, theirs, right in zip(needed, ours, stock, exact, strict=True):
            if not wanted:
                assert actual.shape == (0,)
            elif activation == "tanh" and right.numel() < 100:
                # A handful of sums in which elementwise roundings cancel: bounded by what was added up.
                terms = (grad.double().abs() * x.double().abs().clamp_min(1)).sum().item()
                bound = 4 * torch.finfo(dtype if actual is ours[0] else torch.float32).eps * max(1.0, terms)
                torch.testing.assert_close(actual.double(), right, rtol=0, atol=bound)
            else:
                assert_right(actual, theirs, right)


@pytest.mark.parametrize("needed", list(itertools.product([False, True], repeat=3)))
def test_only_what_is_needed(needed, pass_leaf):
    x, scale, shift, grad = make((2, 5, 4, 4), torch.float32, ("one", "many"))
    every = pass_leaf.affine_act_backward(grad, x, scale, shift, 1, 0.3, True, True, True)
    ours = pass_leaf.affine_act_backward(grad, x, scale, shift, 1, 0.3, *needed)
    for wanted, actual, right in zip(needed, ours, every, strict=True):
        assert torch.equal(actual, right) if wanted else actual.shape == (0,)


def test_layouts_of_gradient_and_input_may_differ(pass_leaf):
    x, scale, shift, grad = make((3, 6, 5, 4), torch.float32, ("one", "many"), channels_last=True)
    straight = pass_leaf.affine_act_backward(grad, x, scale, shift, 1, 0.3, True, True, True)
    wide = torch.zeros(3, 6, 5, 8)
    wide[..., ::2] = grad
    for other in (grad.contiguous(), wide[..., ::2]):
        for ours, right in zip(
            pass_leaf.affine_act_backward(other, x, scale, shift, 1, 0.3, True, True, True), straight, strict=True
        ):
            assert torch.equal(ours, right) and ours.stride() == right.stride()


@activations
def test_at_zero_and_beyond(activation, pass_leaf):
    """act' at 0 is torch's; non-finite values pass as in torch."""
    x = torch.tensor([[0.0, -0.0, float("nan"), float("inf"), -float("inf"), 1e-45, -1e-45, 2.0]])
    grad = torch.full_like(x, 3.0)
    index = reference.ACTIVATIONS.index(activation)
    ours = pass_leaf.affine_act(x, None, None, index, 0.3, False)
    assert torch.equal(ours.nan_to_num(9), reference.affine_act(x, None, None, activation, 0.3).nan_to_num(9))
    stock = reference.affine_act_backward(grad, x, None, None, activation, 0.3, (True, False, False))[0]
    (dx, *_) = pass_leaf.affine_act_backward(grad, x, None, None, index, 0.3, True, False, False)
    torch.testing.assert_close(dx, stock, rtol=1e-6, atol=0, equal_nan=True)


@pytest.mark.parametrize("channels_last", [False, True], ids=["nchw", "channels_last"])
def test_bits_do_not_depend_on_threads(channels_last, pass_leaf):
    x, scale, shift, grad = make((9, 24, 40, 40), torch.float32, ("one", "many"), channels_last)
    runs = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        backward = pass_leaf.affine_act_backward(grad, x, scale, shift, 1, 0.3, True, True, True)
        runs.append((pass_leaf.affine_act(x, scale, shift, 3, 0.3, False), *backward))
    for run in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(run, runs[0], strict=True))


def test_memory_is_not_trusted(pass_leaf):
    x, scale, shift, grad = make((2, 5, 4, 4), torch.float32, ("one", "many"))
    pass_leaf.affine_act(x, scale, shift, 1, 0.3, False)
    with pytest.raises(RuntimeError, match="need input"):
        pass_leaf.affine_act_backward(grad, None, scale, shift, 1, 0.3, True, False, False)
    with pytest.raises(RuntimeError, match="shape and dtype of the other"):
        pass_leaf.affine_act_backward(grad, x[:1], scale, shift, 1, 0.3, True, False, False)
    with pytest.raises(RuntimeError, match="activation must be 0 to 3"):
        pass_leaf.affine_act(x, None, None, 4, 0.3, False)
