"""affine_act: values, derivatives of every order, layouts, what it saves, what it refuses."""

import pytest
import torch
import torch.nn.functional as F
from torch._subclasses import FakeTensorMode
from torch.autograd import gradcheck, gradgradcheck

from fastgan import backends
from fastgan.ops.affine_act import affine_act, affine_act_uint8

STOCK = {
    "none": lambda v: v,
    "leaky_relu": lambda v: F.leaky_relu(v, 0.3),
    "relu": F.relu,
    "tanh": torch.tanh,
}
ROWS = [(None, None), (1, 1), (3, 3), (1, 3), (3, None), (None, 1)]
activations = pytest.mark.parametrize("activation", STOCK)
pytestmark = pytest.mark.usefixtures("each_pass_backend")
rows = pytest.mark.parametrize("rows", ROWS, ids=str)


def make(rows, shape=(3, 2, 2, 3), dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)

    def normal(*shape):
        value = torch.randn(shape, generator=generator, dtype=torch.float64)
        return value.sign() * (0.2 + value.abs())

    x = normal(*shape).to(dtype)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    scale, shift = (None if n is None else normal(n, shape[1]).to(wide) for n in rows)
    return [None if t is None else t.requires_grad_() for t in (x, scale, shift)]


def stock(x, scale, shift, activation):
    over = (..., *(None,) * (x.ndim - 2))
    v = x if scale is None else x * scale[over]
    return STOCK[activation](v if shift is None else v + shift[over])


@activations
@rows
@pytest.mark.parametrize("shape", [(3, 2), (3, 2, 4), (3, 2, 2, 3), (3, 2, 2, 1, 2)], ids=str)
def test_values(rows, activation, shape):
    x, scale, shift = make(rows, shape)
    ours = affine_act(x, scale, shift, activation, 0.3)
    torch.testing.assert_close(ours, stock(x, scale, shift, activation), rtol=1e-13, atol=1e-13)
    assert ours.data_ptr() != x.data_ptr()


@activations
@rows
@pytest.mark.parametrize("channels_last", [False, True], ids=["nchw", "channels_last"])
def test_first_and_second_derivatives(rows, activation, channels_last):
    tensors = make(rows)
    if channels_last:
        tensors[0] = tensors[0].detach().contiguous(memory_format=torch.channels_last).requires_grad_()

    def function(*given):
        given = iter(given)
        return affine_act(*(None if t is None else next(given) for t in tensors), activation, 0.3)

    inputs = tuple(t for t in tensors if t is not None)
    assert function(*inputs).stride() == tensors[0].stride()
    assert gradcheck(function, inputs, fast_mode=True)
    assert gradgradcheck(function, inputs, fast_mode=True)


@activations
def test_expanded_and_strided_upstream(activation):
    tensors = make((1, 3))
    ours, theirs = affine_act(*tensors, activation, 0.3), stock(*tensors, activation)
    wide = torch.randn(3, 2, 2, 6, dtype=torch.float64)
    for upstream in (torch.tensor(0.7, dtype=torch.float64).expand(ours.shape), wide[..., ::2]):
        for a, b in zip(*(torch.autograd.grad(y, tensors, upstream, True) for y in (ours, theirs)), strict=True):
            torch.testing.assert_close(a, b)


@activations
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=["fp32", "bf16", "fp16"])
def test_rounded_once(activation, dtype, each_pass_backend):
    """Half maps are scaled in float32 and rounded at the end."""
    x, scale, shift = make((3, 3), (3, 2, 9, 9), dtype)
    ours = affine_act(x, scale, shift, activation, 0.3)
    expected = stock(x.float(), scale, shift, activation).to(dtype)
    # Bit for bit but for a tanh of our own, which may round the other way.
    own_tanh = activation == "tanh" and each_pass_backend != "reference"
    torch.testing.assert_close(ours, expected, rtol=2 * torch.finfo(dtype).eps if own_tanh else 0, atol=0)
    grads = torch.autograd.grad(ours.sum(), (x, scale, shift))
    assert [g.dtype for g in grads] == [dtype, torch.float32, torch.float32]


@activations
def test_third_derivative(activation):
    def third(function):
        tensors = make((3, 1))
        value = function(*tensors, activation).square().sum()
        for _ in range(3):
            grads = torch.autograd.grad(value, tensors, create_graph=True)
            value = sum((g * g).sum() for g in grads)
        return value.detach()

    torch.testing.assert_close(third(lambda x, s, t, a: affine_act(x, s, t, a, 0.3)), third(stock))


@activations
def test_only_the_arguments_are_saved(activation):
    tensors, saved = make((1, 1)), []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.data_ptr()), lambda _: None):
        affine_act(*tensors, activation, 0.3)
    assert set(saved) == {t.data_ptr() for t in tensors}
    saved.clear()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.data_ptr()), lambda _: None):
        affine_act(tensors[0], None, tensors[2], "none", 1.0)
    assert tensors[0].data_ptr() not in saved


@activations
def test_opcheck(activation):
    for rows in ((None, None), (1, 3)):
        tensors = make(rows, dtype=torch.float32)
        torch.library.opcheck(torch.ops.fastgan.affine_act.default, (*tensors, activation, 0.3))


def test_compile_without_graph_breaks():
    torch._dynamo.reset()
    tensors = make((1, 3), dtype=torch.float32)
    compiled = torch.compile(lambda *t: affine_act(*t, "tanh", 0.0), fullgraph=True, backend="aot_eager")
    ours = torch.autograd.grad(compiled(*tensors).sum(), tensors)
    for a, b in zip(ours, torch.autograd.grad(affine_act(*tensors, "tanh", 0.0).sum(), tensors), strict=True):
        torch.testing.assert_close(a, b)


def test_shapes_on_a_device_that_is_not_there():
    with FakeTensorMode():
        x, scale, shift = (torch.empty_like(t, device="cuda").detach() for t in make((1, 3), dtype=torch.bfloat16))
        y = affine_act(x, scale, shift, "tanh", 0.0)
    assert (y.shape, y.dtype, y.device.type) == (x.shape, torch.bfloat16, "cuda")


def test_empty_batch():
    x = torch.zeros(0, 3, 4, 4, requires_grad=True)
    scale = torch.ones(1, 3, requires_grad=True)
    grads = torch.autograd.grad(affine_act(x, scale, None, "relu", 0.0).sum(), (x, scale))
    assert grads[0].shape == x.shape and torch.equal(grads[1], torch.zeros(1, 3))


def test_the_forced_backend_runs(each_pass_backend):
    with backends.record() as runs:
        affine_act(*make((1, 1)), "relu", 0.0).sum().backward()
    assert [run[:2] for run in runs] == [(op, each_pass_backend) for op in ("affine_act", "affine_act_backward")]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((torch.zeros(3), None, None, "none", 0.0), ValueError, r"input must be \[N, C, ...\], got \[3\]"),
        ((torch.zeros(3, 2).int(), None, None, "none", 0.0), TypeError, "a floating dtype, got int32"),
        (
            (torch.zeros(3, 2), torch.ones(2, 2), None, "none", 0.0),
            ValueError,
            r"scale must be \[1, C=2\] or \[N=3, C=2\]",
        ),
        ((torch.zeros(3, 2), None, None, "gelu", 0.0), ValueError, "activation must be one of none, .*, got 'gelu'"),
        ((torch.zeros(3, 2), None, None, "relu", -0.1), ValueError, r"negative_slope must be in \[0, 1\], got -0.1"),
    ],
)
def test_misuse_is_one_sentence(arguments, error, message):
    with pytest.raises(error, match=f"affine_act: .*{message}") as caught:
        affine_act(*arguments)
    assert "\n" not in str(caught.value)


@activations
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=["fp64", "fp32", "bf16"])
def test_pixels_are_those_of_the_stored_map(activation, dtype):
    """Rounded to the dtype first, then to 0 .. 255 in float32, half to even."""
    x, scale, shift = make((1, 3), (3, 2, 9, 8), dtype)
    pixels = affine_act_uint8(x, scale, shift, activation, 0.3)
    stored = affine_act(x, scale, shift, activation, 0.3).detach().float()
    expected = ((stored + 1) * 127.5).round().clamp(0, 255)
    assert pixels.dtype == torch.uint8 and not pixels.requires_grad
    assert pixels.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(pixels.float(), expected) and len(pixels.unique()) > 20
    halves = (torch.arange(-4, 516, dtype=torch.float32).view(1, 1, 2, -1) / 2) / 127.5 - 1
    values = affine_act_uint8(halves, None, None, "none", 1.0).flatten()
    assert torch.equal(values.float(), ((halves + 1) * 127.5).round().clamp(0, 255).flatten())
    torch.library.opcheck(torch.ops.fastgan.affine_act_uint8.default, (x.detach(), None, None, activation, 0.3))
