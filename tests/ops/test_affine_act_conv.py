"""The two chain operators: values, statistics, derivatives of every order, layouts, dtypes, far and odd numbers."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from support.chain_cases import OPS, OVERLOADS, ROWS, gradients, make_case, plain
from support.tolerances import assert_as_good_as
from torch.autograd import gradcheck, gradgradcheck

KINDS = list(OPS)
USES = ["y", "mean", "var", "mean var", "y mean var"]
EXACTLY = {"rtol": 1e-9, "atol": 1e-10}

kinds = pytest.mark.parametrize("kind", KINDS)


pytestmark = pytest.mark.usefixtures("each_cpu_backend")


@kinds
@pytest.mark.parametrize("activation", ["none", "relu", "leaky_relu"])
@pytest.mark.parametrize("rows", ROWS)
def test_values(kind, rows, activation):
    case = make_case(kind, rows, activation)
    for ours, expected in zip(case.run(), plain(case), strict=True):
        torch.testing.assert_close(ours, expected, **EXACTLY)


@kinds
@pytest.mark.parametrize("channels_last", [False, True], ids=["nchw", "channels_last"])
@pytest.mark.parametrize("rows", ["bare", "per_channel", "per_sample"])
def test_first_and_second_derivatives(kind, rows, channels_last):
    case = make_case(kind, rows, samples=2, channels=(2, 2), size=(3, 2), channels_last=channels_last)
    inputs = tuple(case.differentiable())

    def function(*given):
        return case.run(*case.filled(given))

    assert gradcheck(function, inputs)
    assert gradgradcheck(function, inputs, fast_mode=channels_last)


@kinds
@pytest.mark.parametrize("uses", USES)
def test_derivatives_through_each_result(kind, uses):
    case = make_case(kind, "mixed", channels=(2, 2), size=(3, 2))

    def function(*given):
        return tuple(
            r for r, name in zip(case.run(*case.filled(given)), ("y", "mean", "var"), strict=True) if name in uses
        )

    # The bias moves neither mean nor var: numerically its derivative is rounding noise.
    assert gradcheck(function, tuple(case.differentiable()), fast_mode=True, atol=1e-5)
    assert gradgradcheck(function, tuple(case.differentiable()), fast_mode=True, atol=1e-5)


def strides(x):
    """Strides of the dimensions that have more than one entry: the others mean nothing."""
    return [step for side, step in zip(x.shape, x.stride(), strict=True) if side > 1]


SMALL = st.integers(1, 3)


@settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    kind=st.sampled_from(KINDS),
    rows=st.sampled_from(list(ROWS)),
    activation=st.sampled_from(["none", "relu", "leaky_relu"]),
    samples=SMALL,
    channels=st.tuples(SMALL, SMALL),
    size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    stride=st.tuples(SMALL, SMALL),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    output_padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    bias=st.booleans(),
    channels_last=st.booleans(),
    uses=st.sampled_from(USES),
    layout=st.sampled_from(["dense", "channels_last", "strided", "expanded"]),
)
def test_any_geometry_and_layout(uses, layout, **given):
    """Values, gradients and second derivatives against plain torch; the layout of y is ATen's."""
    spread = zip(*(given[name] for name in ("size", "kernel", "stride", "padding", "output_padding")), strict=True)
    for side, kernel, stride, padding, output_padding in spread:
        if given["kind"] == "conv2d":
            assume(side + 2 * padding >= kernel)
        else:
            assume(output_padding < stride and (side - 1) * stride - 2 * padding + kernel + output_padding >= 1)
    case = make_case(**given)
    ours, expected = case.run(), plain(case)
    for actual, wanted in zip(ours, expected, strict=True):
        torch.testing.assert_close(actual, wanted, **EXACTLY)
    assert strides(ours[0]) == strides(case.by_reference()[0])

    orders = []
    for results in (ours, expected):
        first = gradients(case, results, uses, layout, create_graph=True)
        mixed = sum((g.sin() * torch.linspace(-1, 2, g.numel(), dtype=g.dtype).view(g.shape)).sum() for g in first)
        inputs = case.differentiable()
        second = torch.autograd.grad(mixed, inputs, allow_unused=True, materialize_grads=True)
        orders.append([*first, *second])
    for actual, wanted in zip(*orders, strict=True):
        torch.testing.assert_close(actual, wanted, rtol=1e-8, atol=1e-8)


@kinds
def test_third_derivative(kind):
    def third(run):
        case = make_case(kind, "per_sample")
        value = sum((result**2).sum() for result in run(case))
        for _ in range(3):
            grads = torch.autograd.grad(value, case.differentiable(), create_graph=True, materialize_grads=True)
            value = sum((g * g).sum() + (1 + i) * g.sum() for i, g in enumerate(grads))
        return value.detach()

    torch.testing.assert_close(third(lambda case: case.run()), third(plain), rtol=1e-8, atol=0)


@kinds
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("activation", ["none", "leaky_relu"])
def test_error_is_that_of_stock_torch(kind, activation, dtype):
    """Against float64 on the same rounded arguments; statistics in float32, also those of half maps."""
    options = {"samples": 8, "channels": (16, 24), "size": (9, 7), "kernel": (4, 4), "stride": (2, 2)}
    case = make_case(kind, "per_sample", activation, dtype=dtype, **options)
    runs = []
    for each, function in ((case, "run"), (case, "by_reference"), (case.to(torch.float64), "by_reference")):
        results = getattr(each, function)()
        grads = torch.autograd.grad(
            results, each.differentiable(), [torch.ones_like(r) * 0.7 + 0.3 * r.detach().sin() for r in results]
        )
        runs.append([*results, *grads])
    assert [r.dtype for r in runs[0][:3]] == [dtype, torch.float32, torch.float32]
    for ours, stock, exact in zip(*runs, strict=True):
        assert_as_good_as(ours, stock, exact.detach())


def test_statistics_far_from_zero():
    """mean / std = 1e4: the statistics are those of what was stored, to float32's last digits."""
    generator = torch.Generator().manual_seed(0)
    x = 1e4 + torch.randn(16, 3, 17, 19, generator=generator)
    w = torch.eye(3)[:, :, None, None]
    for format, kind in itertools.product((torch.contiguous_format, torch.channels_last), KINDS):
        extra = () if kind == "conv2d" else (0,)
        for bias in (None, torch.tensor([-1e4, 0.0, 3e3])):
            y, mean, var = OPS[kind](x.contiguous(memory_format=format), w, bias, None, None, "none", 1.0, 1, 0, *extra)
            before = y.double() if bias is None else y.double() - bias.double()[:, None, None]
            torch.testing.assert_close(mean.double(), before.mean((0, 2, 3)), rtol=1e-7, atol=0)
            torch.testing.assert_close(var.double(), before.var((0, 2, 3), correction=0), rtol=1e-6, atol=0)


@kinds
def test_gradients_far_from_zero(kind):
    generator = torch.Generator().manual_seed(0)
    x = (1e4 + torch.randn(8, 2, 9, 9, generator=generator)).requires_grad_()
    w, extra = torch.eye(2)[:, :, None, None], () if kind == "conv2d" else (0,)
    _, _, var = OPS[kind](x, w, None, None, None, "none", 1.0, 1, 0, *extra)
    (grad,) = torch.autograd.grad(var.sum(), x)
    wide = x.detach().double()
    expected = 2 * (wide - wide.mean((0, 2, 3), keepdim=True)) / (8 * 9 * 9)
    # The mean itself is rounded to float32: half an ulp of 1e4 is 5e-4 standard deviations.
    torch.testing.assert_close(grad.double(), expected, rtol=0, atol=6e-4 * 2 / (8 * 9 * 9))


@kinds
def test_zero_variance(kind):
    x = torch.full((4, 2, 3, 3), 0.1, requires_grad=True)
    w, extra = torch.eye(2)[:, :, None, None], () if kind == "conv2d" else (0,)
    y, mean, var = OPS[kind](x, w, None, None, None, "none", 1.0, 1, 0, *extra)
    assert torch.equal(var, torch.zeros(2)) and torch.equal(mean, y[0, :, 0, 0])
    first = torch.autograd.grad(var.sum(), x, create_graph=True)[0]
    assert torch.equal(first, torch.zeros_like(x))
    second = torch.autograd.grad(first[0, 0, 0, 0], x)[0]  # 2/n (delta - 1/n)
    expected = torch.zeros_like(x)
    expected[:, 0] = -2 / 36**2
    expected[0, 0, 0, 0] += 2 / 36
    torch.testing.assert_close(second, expected)


@kinds
def test_padding_after_a_shift_stays_zero(kind):
    """x = 0, shift 3, all weights 1: an output counts the taps inside the image, times 3."""
    x, w = torch.zeros(1, 1, 3, 3), torch.ones(1, 1, 3, 3)
    extra = () if kind == "conv2d" else (0,)
    y = OPS[kind](x, w, None, None, torch.full((1, 1), 3.0), "leaky_relu", 0.2, 1, 1, *extra)[0]
    assert torch.equal(y[0, 0], 3.0 * torch.tensor([[4.0, 6, 4], [6, 9, 6], [4, 6, 4]]))


@kinds
@pytest.mark.filterwarnings("ignore:var_mean")
def test_empty_batch(kind):
    case = make_case(kind, "per_channel", samples=0)
    y, mean, var = case.run()
    assert y.shape == case.by_reference()[0].shape and len(y) == 0
    assert mean.isnan().all() and var.isnan().all()
    grads = torch.autograd.grad((y, mean, var), case.differentiable(), [torch.ones_like(r) for r in (y, mean, var)])
    assert [g.shape for g in grads] == [t.shape for t in case.differentiable()]
    assert not any(g.count_nonzero() for g in grads)


@kinds
def test_one_pixel(kind):
    case = make_case(kind, "per_sample", samples=1, size=(1, 1), kernel=(1, 1), stride=(1, 1), padding=(0, 0))
    y, mean, var = case.run()
    torch.testing.assert_close((y - case.tensors[2][:, None, None])[0, :, 0, 0], mean)
    assert torch.equal(var, torch.zeros_like(var))
    assert gradgradcheck(lambda *given: case.run(*case.filled(given))[:2], tuple(case.differentiable()))


@kinds
def test_non_finite_values_stay_where_they_are(kind):
    case = make_case(kind, "per_channel", "relu", size=(9, 9), dtype=torch.float32)
    with torch.no_grad():
        for n, value in enumerate((float("nan"), float("inf"), -float("inf"))):
            case.tensors[0][n % 2, n, 2 * n + 1, 4] = value
    runs = []
    for results in (case.run(), case.by_reference()):
        runs.append([*results, *torch.autograd.grad(results[0], case.differentiable(), torch.ones_like(results[0]))])
    for ours, stock in zip(*runs, strict=True):
        assert torch.equal(ours.isfinite(), stock.isfinite())
        torch.testing.assert_close(ours[ours.isfinite()], stock[stock.isfinite()], rtol=1e-5, atol=1e-5)


def test_against_conv2d_of_the_activated_map(each_cpu_backend):
    """Where the convolution is torch's: the bits of stock torch, layer by layer, in float32."""
    if each_cpu_backend == "cpu":
        return
    case = make_case("conv2d", "per_channel", dtype=torch.float32)
    x, w, bias, scale, shift = case.tensors
    z = F.leaky_relu(x * scale[:, :, None, None] + shift[:, :, None, None], 0.3)
    assert torch.equal(case.run()[0], F.conv2d(z, w, bias, (2, 1), (1, 1)))


@kinds
@pytest.mark.parametrize("bias", [False, True])
def test_without_statistics(kind, bias):
    """The same output and gradients, empty statistics, and nothing kept for them."""
    case = make_case(kind, "per_sample", bias=bias)

    def run(statistics):
        kept = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.data_ptr()) or t, lambda t: t):
            results = OVERLOADS[kind](*case.arguments(statistics))
        up = torch.linspace(-1, 1, results[0].numel(), dtype=torch.float64).view(results[0].shape)
        return results, torch.autograd.grad(results[0], case.differentiable(), up), kept

    (with_them, grads, kept), (without, same_grads, fewer) = run(True), run(False)
    assert torch.equal(with_them[0], without[0])
    assert [r.shape for r in without[1:]] == [(0,), (0,)] and not any(r.requires_grad for r in without[1:])
    for one, other in zip(grads, same_grads, strict=True):
        assert torch.equal(one, other)
    assert with_them[0].data_ptr() in kept and without[0].data_ptr() not in fewer
