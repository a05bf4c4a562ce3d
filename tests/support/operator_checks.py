"""What the chain operators have to give on every backend, by name; LIMITS says what a backend does not, and why.

Run as a program, which has Triton's interpreter, it prints a JSON object: for each name of CHECKS and of LAUNCHERS
None, or how it failed. Importing it loads no Triton.
"""

import functools
import itertools
import json
import sys
import traceback
import warnings
from collections.abc import Callable

import torch
from support.chain_cases import OPS, gradients, make_case, plain
from support.tolerances import assert_as_good_as
from torch import Tensor

from fastgan import backends
from fastgan.errors import BackendError
from fastgan.ops.affine_act import affine_act, affine_act_uint8
from fastgan.ops.batch_norm_affine import batch_norm_affine
from fastgan.ops.conv_triple import conv2d, conv2d_weight_grad, conv_transpose2d
from fastgan.reference import affine_act as reference
from fastgan.reference import batch_norm_affine as vectors

CHECKS: dict[str, Callable[[], None]] = {}
LAUNCHERS: dict[str, Callable[[], None]] = {}  # what Triton's launchers can do, and no operator asks for
DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}


def check(function: Callable[[], None]) -> Callable[[], None]:
    CHECKS[function.__name__] = function
    return function


def launcher_check(function: Callable[[], None]) -> Callable[[], None]:
    LAUNCHERS[function.__name__] = function
    return function


def _values(kind: str, rows: str, activation: str, **options) -> None:
    case = make_case(kind, rows, activation, **options)
    runs = case.run(), case.by_reference(), case.to(torch.float64).by_reference()
    for ours, stock, wanted in zip(*runs, strict=True):
        if wanted.numel() > 1:  # of a single number the error of stock torch is chance
            assert_as_good_as(ours.detach(), stock.detach(), wanted.detach())


def _values_and_gradients(kind: str, rows: str, activation: str, **options) -> None:
    """Every result and every gradient against float64, within the rule for stock torch's error at that dtype."""
    case = make_case(kind, rows, activation, **options)
    wide = case.to(torch.float64)
    exact = wide.by_reference()
    # The same upstream for all: of one made from each's own results the rounding would count as an error.
    ups = [torch.ones_like(r) * 0.7 + 0.3 * r.detach().sin() for r in exact]
    runs = []
    for each, results in ((case, case.run()), (case, case.by_reference()), (wide, exact)):
        upstream = [up.to(result.dtype) for up, result in zip(ups, results, strict=True)]
        runs.append([*results, *torch.autograd.grad(results, each.differentiable(), upstream)])
    for ours, stock, wanted in zip(*runs, strict=True):
        if wanted.numel() > 1:  # of a single number the error of stock torch is chance
            assert_as_good_as(ours, stock, wanted.detach())


_K4S2 = {"kernel": (4, 4), "stride": (2, 2), "padding": (1, 1)}
_K4S1 = {"kernel": (4, 4), "stride": (1, 1), "padding": (0, 0)}
_K3S1 = {"kernel": (3, 3), "stride": (1, 1), "padding": (1, 1)}
_K3S2 = {"kernel": (3, 3), "stride": (2, 2), "padding": (1, 1)}
_K3S2_MORE = _K3S2 | {"output_padding": (1, 0)}
_K1 = {"kernel": (1, 1), "stride": (1, 1), "padding": (0, 0)}
_UNEVEN = {"kernel": (2, 5), "stride": (3, 2), "padding": (0, 1)}

# Name, dtypes, operator, rows of scale and shift, activation, samples, channels, size, geometry.
for _name, _dtypes, _kind, _rows, _activation, _samples, _channels, _size, _geometry in (
    ("4x4s2-from-3", "fp16 bf16 fp32", "conv2d", "per_channel", "leaky_relu", 3, (3, 20), (9, 7), _K4S2),
    ("4x4s2-to-3", "fp16 bf16 fp32", "conv_transpose2d", "per_sample", "relu", 2, (40, 3), (5, 6), _K4S2),
    ("3x3s1-odd", "fp16 bf16 fp32", "conv2d", "mixed", "leaky_relu", 2, (33, 17), (6, 7), _K3S1),
    ("4x4s2", "fp16 bf16 fp32", "conv_transpose2d", "per_channel", "relu", 2, (48, 32), (4, 4), _K4S2),
    ("from-one-pixel", "fp16 fp32", "conv_transpose2d", "per_sample", "leaky_relu", 3, (24, 16), (1, 1), _K4S1),
    ("to-one-pixel", "bf16 fp32", "conv2d", "per_sample", "leaky_relu", 5, (32, 1), (4, 4), _K4S1),
    ("3x3s2", "fp16 fp32", "conv2d", "scale", "relu", 2, (16, 24), (8, 9), _K3S2),
    ("3x3s2-output-padding", "bf16 fp32", "conv_transpose2d", "shift", "relu", 2, (8, 24), (3, 4), _K3S2_MORE),
    ("1x1-one-sample", "fp16 fp32", "conv2d", "bare", "none", 1, (4, 70), (6, 5), _K1),
    ("4x4s2-1-to-4", "bf16 fp32", "conv_transpose2d", "bare", "leaky_relu", 2, (1, 4), (5, 3), _K4S2),
    ("3x3s1", "fp16 fp32", "conv_transpose2d", "per_sample", "relu", 3, (16, 16), (8, 9), _K3S1),
    ("uneven", "fp32", "conv_transpose2d", "per_channel", "leaky_relu", 2, (5, 6), (4, 3), _UNEVEN),
    ("uneven", "fp32", "conv2d", "per_sample", "none", 2, (5, 6), (9, 8), _UNEVEN),
):
    for _dtype in _dtypes.split():
        _arguments = _kind, _rows, _activation
        _options = {"samples": _samples, "channels": _channels, "size": _size, "dtype": DTYPES[_dtype], **_geometry}
        _case = f"{_kind}-{_name}-{_rows}-{_dtype}"
        CHECKS[_case] = functools.partial(_values_and_gradients, *_arguments, **_options)
        if _dtype == "bf16":  # not every backend's gradients are within the rule
            CHECKS[f"{_case}-values"] = functools.partial(_values, *_arguments, **_options)


@check
def wide_weights():
    """Under autocast: the bits of weights rounded before, gradients in float32, the bias's with the weight's."""
    for kind, dtype in itertools.product(OPS, (torch.float16, torch.bfloat16)):
        case = make_case(kind, "per_channel", samples=3, channels=(8, 16), size=(6, 4), **_K4S2)
        x, w, b, *affine = (t.detach().float() for t in case.tensors)
        x = x.to(dtype)
        runs = []
        for wide in (True, False):
            given = [x, *((w, b) if wide else (w.to(dtype), b.to(dtype))), *affine]
            given = [t.clone().requires_grad_() for t in given]
            with torch.autocast("cpu", dtype):
                y, mean, var = case.run(*given)
            runs.append([y, mean, var, *torch.autograd.grad(y.float().square().sum() + var.sum(), given)])
        for i, (ours, rounded) in enumerate(zip(*runs, strict=True)):
            if i in (4, 5):  # dw and db, which are stored in their own dtype
                assert ours.dtype == torch.float32 and torch.equal(ours.to(dtype), rounded)
            else:
                assert torch.equal(ours, rounded)


@check
def many_tiles():
    """Enough tiles for groups of several, and several groups; the mean is 1e4 standard deviations."""
    generator = torch.Generator().manual_seed(0)
    x = 1e4 + torch.randn(2, 24, 33, 35, generator=generator)
    bias = torch.linspace(-1e4, 1e4, 24)
    y, mean, var = OPS["conv2d"](x, torch.eye(24)[:, :, None, None], bias, None, None, "none", 1.0, 1, 0)
    before = y.double() - bias.double()[:, None, None]
    torch.testing.assert_close(mean.double(), before.mean((0, 2, 3)), rtol=1e-7, atol=0)
    torch.testing.assert_close(var.double(), before.var((0, 2, 3), correction=0), rtol=1e-6, atol=0)


@check
def many_splits():
    """Enough pixels for a weight gradient whose sum is cut into several."""
    generator = torch.Generator().manual_seed(0)
    x, dy = torch.randn(2, 8, 33, 35, generator=generator), torch.randn(2, 16, 33, 35, generator=generator)
    arguments = (1, 1), (1, 1), (0, 0)
    exact = torch.einsum("nihw,nohw->oi", x.double(), dy.double())[:, :, None, None]
    with backends.use_backend("reference"):
        stock = conv2d_weight_grad(x, dy, *arguments)
    assert_as_good_as(conv2d_weight_grad(x, dy, *arguments), stock, exact)


@check
def statistics_of_what_is_stored():
    """Of y after it was rounded to a half, not of the sum before."""
    for kind, dtype in itertools.product(OPS, (torch.float16, torch.bfloat16)):
        case = make_case(kind, "per_channel", channels=(5, 6), size=(9, 8), dtype=dtype, **_K3S1)
        y, mean, var = case.run()
        before = y.double() - case.tensors[2].double()[:, None, None]
        torch.testing.assert_close(mean.double(), before.mean((0, 2, 3)), rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(var.double(), before.var((0, 2, 3), correction=0), rtol=1e-6, atol=0)


@check
def statistics_far_from_zero():
    generator = torch.Generator().manual_seed(0)
    x = 1e4 + torch.randn(3, 3, 17, 19, generator=generator)
    w = torch.eye(3)[:, :, None, None]
    for kind, bias in itertools.product(OPS, (None, torch.tensor([-1e4, 0.0, 3e3]))):
        extra = () if kind == "conv2d" else (0,)
        y, mean, var = OPS[kind](x, w, bias, None, None, "none", 1.0, 1, 0, *extra)
        before = y.double() if bias is None else y.double() - bias.double()[:, None, None]
        torch.testing.assert_close(mean.double(), before.mean((0, 2, 3)), rtol=1e-7, atol=0)
        torch.testing.assert_close(var.double(), before.var((0, 2, 3), correction=0), rtol=1e-6, atol=0)


@check
def gradients_far_from_zero():
    generator = torch.Generator().manual_seed(0)
    x = (1e4 + torch.randn(4, 2, 9, 9, generator=generator)).requires_grad_()
    w = torch.eye(2)[:, :, None, None]
    for kind in OPS:
        extra = () if kind == "conv2d" else (0,)
        var = OPS[kind](x, w, None, None, None, "none", 1.0, 1, 0, *extra)[2]
        (grad,) = torch.autograd.grad(var.sum(), x)
        wide = x.detach().double()
        expected = 2 * (wide - wide.mean((0, 2, 3), keepdim=True)) / (4 * 9 * 9)
        # The mean itself is rounded to float32: half an ulp of 1e4 is 5e-4 standard deviations.
        torch.testing.assert_close(grad.double(), expected, rtol=0, atol=6e-4 * 2 / (4 * 9 * 9))


@check
def zero_variance():
    x = torch.full((4, 2, 3, 3), 0.1)
    for kind in OPS:
        extra = () if kind == "conv2d" else (0,)
        y, mean, var = OPS[kind](x, torch.eye(2)[:, :, None, None], None, None, None, "none", 1.0, 1, 0, *extra)
        assert torch.equal(var, torch.zeros(2)) and torch.equal(mean, y[0, :, 0, 0])


@check
def padding_after_a_shift_stays_zero():
    """x = 0, shift 3, all weights 1: an output counts the taps inside the image, times 3."""
    expected = 3.0 * torch.tensor([[4.0, 6, 4], [6, 9, 6], [4, 6, 4]])
    for kind, channels, dtype in itertools.product(OPS, (1, 16), DTYPES.values()):
        extra = () if kind == "conv2d" else (0,)
        x, w = torch.zeros(1, channels, 3, 3, dtype=dtype), torch.ones(channels, channels, 3, 3, dtype=dtype)
        shift = torch.full((1, channels), 3.0)
        y = OPS[kind](x, w, None, None, shift, "leaky_relu", 0.2, 1, 1, *extra)[0]
        assert torch.equal(y, (channels * expected).to(dtype).expand_as(y))


@check
def tf32_is_rounded_not_truncated():
    """Where torch allows tf32: as exact as 11 bits, and no bias, which truncation would leave in the variance."""
    torch.backends.cudnn.conv.fp32_precision = "tf32"
    try:
        for kind in OPS:
            case = make_case(kind, "bare", "none", channels=(32, 24), size=(16, 15), dtype=torch.float32, **_K4S2)
            y, _, var = case.run()
            exact, _, exact_var = plain(case.to(torch.float64))
            assert 2e-5 < (y - exact).norm() / exact.norm() < 2**-11
            assert (var / exact_var - 1).mean().abs() < 5e-5
    finally:
        torch.backends.cudnn.conv.fp32_precision = "ieee"


@check
def second_derivatives():
    for kind, rows in (("conv2d", "per_sample"), ("conv_transpose2d", "per_channel")):
        case = make_case(kind, rows, samples=3, channels=(6, 8), size=(5, 4), dtype=torch.float32, **_K4S2)
        runs = []
        for each, run in ((case, "run"), (case, "by_reference"), (case.to(torch.float64), "by_reference")):
            first = gradients(each, getattr(each, run)(), "y mean var", create_graph=True)
            mixed = [torch.linspace(-1, 2, g.numel(), dtype=g.dtype).view(g.shape) for g in first]
            runs.append(torch.autograd.grad(first, each.differentiable(), mixed, materialize_grads=True))
        for name, ours, stock, exact in zip(("x", "w", "b", "s", "t"), *runs, strict=True):
            if name != "b":  # the bias moves neither mean nor var: what is left is rounding noise
                assert_as_good_as(ours, stock, exact)


@check
def the_bare_triple():
    generator = torch.Generator().manual_seed(0)
    for dtype in DTYPES.values():
        x, y, w = (torch.randn(s, generator=generator).to(dtype) for s in ((2, 5, 9, 8), (2, 20, 4, 4), (20, 5, 4, 3)))
        geometry = (2, 2), (1, 1)
        calls = (conv2d, (x, w)), (conv_transpose2d, (y, w, (9, 8))), (conv2d_weight_grad, (x, y, (4, 3)))
        for function, arguments in calls:
            ours = function(*arguments, *geometry)
            with backends.use_backend("reference"):
                stock = function(*arguments, *geometry)
                exact = function(*(a.double() if isinstance(a, Tensor) else a for a in arguments), *geometry)
            assert_as_good_as(ours, stock, exact)


@check
def any_layout():
    """Strided, expanded, channels_last and contiguous arguments give the same bits; results lie as operands do."""
    for kind in OPS:
        case = make_case(kind, "per_channel", size=(4, 6), dtype=torch.float32)
        x, weight, *vectors = (tensor.detach() for tensor in case.tensors)
        last = [tensor.contiguous(memory_format=torch.channels_last) for tensor in (x, weight)]
        dense, by_last = case.run(x, weight, *vectors), case.run(*last, *vectors)
        strided = case.run(x.repeat_interleave(2, 3)[..., ::2], weight, *vectors)
        for other in (by_last, strided):
            assert all(torch.equal(ours, theirs) for ours, theirs in zip(other, dense, strict=True))
        assert by_last[0].is_contiguous(memory_format=torch.channels_last) and dense[0].is_contiguous()
        wide = case.to(torch.float64)
        for layout in ("strided", "channels_last", "expanded"):
            ours = gradients(case, case.run(), "y", layout)
            exact = gradients(wide, wide.by_reference(), "y", layout)
            torch.testing.assert_close([g.double() for g in ours], exact, rtol=1e-4, atol=1e-5)


@check
def empty_batch():
    for kind in OPS:
        case = make_case(kind, "per_channel", samples=0, dtype=torch.float32)
        y, mean, var = case.run()
        assert y.shape == case.by_reference()[0].shape and mean.isnan().all() and var.isnan().all()
        grads = torch.autograd.grad((y, mean, var), case.differentiable(), [torch.ones_like(r) for r in (y, mean, var)])
        assert all(not grad.any() for grad in grads)


@check
def non_finite_values_stay_where_they_are():
    for kind in OPS:
        case = make_case(kind, "per_channel", "relu", size=(9, 9), dtype=torch.float32)
        with torch.no_grad():
            for n, value in enumerate((float("nan"), float("inf"), -float("inf"))):
                case.tensors[0][n % 2, n, 2 * n + 1, 4] = value
        runs = []
        for results in (case.run(), case.by_reference()):
            runs.append([*results, *torch.autograd.grad(results[0].sum(), case.differentiable())])
        for ours, stock in zip(*runs, strict=True):
            assert torch.equal(ours.isfinite(), stock.isfinite())


@check
def equal_bits():
    for kind, rows in itertools.product(OPS, ("per_channel", "per_sample")):
        case = make_case(kind, rows, channels=(16, 24), size=(6, 8), dtype=torch.float16, **_K4S2)
        runs = [[*case.run(), *gradients(case, case.run(), "y mean var")] for _ in range(2)]
        assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


@launcher_check
def pixels_of_the_epilogue():
    """y activated and as uint8 out of the convolution: what the two operators give one after the other."""
    from fastgan.kernels.affine_act_conv import affine_act_conv

    for dtype in DTYPES.values():
        case = make_case("conv_transpose2d", "per_channel", "relu", channels=(32, 3), size=(6, 5), dtype=dtype, **_K4S2)
        x, w, b, s, t = (each.detach() for each in case.tensors)
        arguments = x, w * 0.05, b, s, t, 2, 0.0, (2, 2), (1, 1), (12, 10), True, False
        z = affine_act_conv(*arguments, output_activation=3)[0]
        pixels = affine_act_conv(*arguments, output_activation=3, pixels=True)[0]
        assert torch.equal(pixels, affine_act_uint8(z, None, None, "none", 1.0))
        exact = affine_act_conv(*arguments)[0].double().tanh()
        assert (z.double() - exact).abs().max() <= 2 * torch.finfo(dtype).eps
    try:
        affine_act_conv(*arguments[:-1], True, pixels=True)
    except ValueError as error:
        assert "statistics" in str(error)
    else:
        raise AssertionError("statistics of pixels")


@check
def pointwise_values_and_gradients():
    generator = torch.Generator().manual_seed(0)
    shapes = (2, 5, 7, 3), (3, 70, 9, 9), (4, 3), (2, 6, 5), (1, 3, 20, 30)
    for shape, dtype, activation in itertools.product(shapes, DTYPES.values(), reference.ACTIVATIONS):
        count = shape[0] if activation != "relu" else 1
        x = torch.randn(shape, generator=generator).to(dtype).requires_grad_()
        scale = torch.randn(count, shape[1], generator=generator).requires_grad_()
        shift = torch.randn(1, shape[1], generator=generator).requires_grad_()
        runs = []
        for function, wide in ((affine_act, False), (reference.affine_act, False), (reference.affine_act, True)):
            inputs = [t.detach().double().requires_grad_() if wide else t for t in (x, scale, shift)]
            z = function(*inputs, activation, 0.2)
            runs.append([z, *torch.autograd.grad(z, inputs, torch.ones_like(z) * 0.7 + 0.3 * z.detach().sin())])
        for ours, stock, exact in zip(*runs, strict=True):
            assert_as_good_as(ours, stock, exact.detach())


@check
def batch_norm_as_vectors():
    """A block and a half of channels; [C] and [N, C]; with and without weight, bias and the gradient of either."""
    generator = torch.Generator().manual_seed(0)
    mean, var = 30 * torch.randn(200, generator=generator), torch.randn(200, generator=generator).square() + 1e-4
    for rows, affine, uses in itertools.product((0, 1, 3), ("wb", "w", "b", ""), ("st", "s", "t")):
        shape = (rows, 200) if rows else (200,)
        weight, bias = (torch.randn(shape, generator=generator) if name in affine else None for name in "wb")
        ups = [torch.randn(max(rows, 1) if affine else 1, 200, generator=generator) for _ in uses]
        runs = []
        for ours, dtype in ((True, torch.float32), (False, torch.float32), (False, torch.float64)):
            given = [each if each is None else each.to(dtype).requires_grad_() for each in (mean, var, weight, bias)]
            inputs = [each for each in given if each is not None]
            if ours:
                *results, unbiased = batch_norm_affine(*given, 1e-3, 9)
            else:
                results, unbiased = vectors.batch_norm_affine(*given, 1e-3), given[1].detach() * (9 / 8)
            used = [result for name, result in zip("st", results, strict=True) if name in uses]
            grads = torch.autograd.grad(used, inputs, [up.to(dtype) for up in ups], allow_unused=True)
            grads = [torch.zeros_like(each) if by is None else by for each, by in zip(inputs, grads, strict=True)]
            runs.append([*results, unbiased, *grads])
        for actual, stock, exact in zip(*runs, strict=True):
            assert_as_good_as(actual, stock, exact.detach())


@check
def tanh_everywhere():
    odd = torch.tensor([0.0, -0.0, 1e-45, -1e-40, 0.625, -0.625, 9.0, 104.0, float("inf"), -float("inf"), float("nan")])
    x = torch.cat([odd, torch.linspace(-12, 12, 5001), torch.logspace(-30, 2, 999)])[:, None]
    ours, exact = affine_act(x, None, None, "tanh", 1.0), x.double().tanh()
    assert torch.equal(ours.isnan(), x.isnan())
    error = ((ours.double() - exact) / exact.abs().clamp_min(1e-38)).nan_to_num(0.0).abs()
    assert error.max() < 2 * torch.finfo(torch.float32).eps, error.max()


@check
def every_pixel():
    ties = (torch.arange(-4, 520) / 2 / 127.5 - 1).view(1, 1, -1, 1)
    odd = torch.tensor([float("inf"), -float("inf"), 300.0, -300.0]).view(1, 1, -1, 1)
    for dtype in DTYPES.values():
        x = torch.cat([ties, odd], 2).to(dtype)
        ours = affine_act_uint8(x, None, None, "none", 1.0)
        assert torch.equal(ours, reference.affine_act_uint8(x, None, None, "none", 1.0))


@launcher_check
def more_pixels_than_it_numbers():
    huge = torch.zeros(1).expand(2**16, 1, 256, 256)
    try:
        conv2d(huge, torch.zeros(1, 1, 1, 1), (1, 1), (0, 0))
    except ValueError as error:
        assert "at most 2^30 pixels" in str(error)
    else:
        raise AssertionError("2^32 pixels ran")


def float64_is_refused() -> None:
    """By kernels of ours for a GPU."""
    for kind in OPS:
        try:
            make_case(kind).run()
        except BackendError as error:
            assert "it does not take float64" in str(error)
        else:
            raise AssertionError("float64 ran")


LAUNCHERS["float64_is_refused"] = float64_is_refused

_BETWEEN = "gradients are ATen's convolutions between passes, which round to bfloat16 what sums are then taken of"
_NO_TF32 = "products of float32 are exact on the CPU, whatever the switch says"
_LAYOUT = "ATen's convolutions add up in another order in another layout"
_BFLOAT16_SUMS = ("conv2d-4x4s2-from-3-per_channel-bf16", "conv2d-3x3s1-odd-mixed-bf16")
# For a backend and a check, why it fails there. Whoever runs the check sees to it that it still does.
LIMITS = {
    **{(backend, name): _BETWEEN for backend in ("reference", "aten", "cuda") for name in _BFLOAT16_SUMS},
    **{(backend, "tf32_is_rounded_not_truncated"): _NO_TF32 for backend in ("reference", "aten", "cpu")},
    **{(backend, "any_layout"): _LAYOUT for backend in ("reference", "aten")},
}
# Operators that Triton alone has: elsewhere they are stock torch, which leaves no record.
OF_TRITON = ("batch_norm_as_vectors",)


def main() -> None:
    from support import triton_interpreter

    triton_interpreter.install()
    warnings.simplefilter("ignore")  # numpy's, about what becomes NaN on purpose
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)  # poisons fresh memory
    torch.backends.cudnn.conv.fp32_precision = "ieee"
    from fastgan.kernels import workspace

    failures: dict[str, str | None] = {}
    for name, function in (CHECKS | LAUNCHERS).items():
        try:
            with backends.use_backend("triton"), backends.record() as runs:
                function()
            assert {run.backend for run in runs} <= {"triton", "reference"}, runs
            assert "triton" in {run.backend for run in runs} or name in LAUNCHERS, "nothing ran in Triton"
            assert all(not counters.any() for counters in workspace._counters.values()), "a counter is not zero again"
            failures[name] = None
        except Exception:
            failures[name] = traceback.format_exc()
    json.dump(failures, sys.stdout)


if __name__ == "__main__":
    main()
