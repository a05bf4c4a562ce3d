"""gan_loss: every family, dtype and backend against the definition in float64; derivatives of every order."""

import itertools

import pytest
import torch
from support import cuda_host
from support.tolerances import assert_as_good_as
from torch._subclasses import FakeTensorMode
from torch.autograd import gradcheck, gradgradcheck

from fastgan import backends, losses
from fastgan.reference import gan_loss as reference

FAMILIES = losses.FAMILIES
DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
BACKENDS = ["reference", "cpu", *cuda_host.PARAMETERS]
SHAPES = [((1,), (1,)), ((7,), (3,)), ((1023,), (1025,)), ((3, 1, 5, 5), (64, 1)), ((4097,), (1024,))]


def dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def shape_name(shapes) -> str:
    return "-".join("x".join(map(str, shape)) for shape in shapes)


@pytest.fixture(params=BACKENDS)
def backend(request, need):
    ours = "cuda" if request.param in cuda_host.BACKENDS else request.param
    with cuda_host.forced(request.param):
        need(backends.why_not("gan_loss", ours, "cpu", torch.float32), ours)
        yield ours


def make_logits(family: str, shapes, dtype: torch.dtype, seed: int = 0, scale: float = 3.0):
    """Real and fake logits that require gradients; as many fakes as reals where the family pairs them."""
    generator = torch.Generator().manual_seed(seed)
    real_shape, fake_shape = shapes
    fake_shape = real_shape if family in reference.PAIRED else fake_shape

    def draw(shape):
        return torch.randn(shape, generator=generator).mul(scale).to(dtype).requires_grad_()

    return draw(real_shape), draw(fake_shape)


def values_and_grads(real, fake, family, d_loss, g_loss):
    """[d_loss, g_loss, grad_real, grad_fake], the gradients under fixed uneven upstream gradients."""
    upstream = torch.tensor(0.7, dtype=d_loss.dtype), torch.tensor(-1.9, dtype=g_loss.dtype)
    grads = torch.autograd.grad((d_loss, g_loss), (real, fake), upstream)
    return [d_loss.detach(), g_loss.detach(), *grads]


def by_definition(real, fake, family):
    d_loss = reference.discriminator_loss(real, fake, family)
    g_loss = reference.generator_loss(real, fake, family)
    return values_and_grads(real, fake, family, d_loss, g_loss)


def assert_all_as_good_as(ours, stock, exact):
    for actual, by_stock, by_exact in zip(ours, stock, exact, strict=True):
        # In float64 the "exact" result is stock torch's own, whose error is then not seen: leave room for it.
        assert_as_good_as(actual, by_stock, by_exact, ulps=8.0 if actual.dtype == torch.float64 else 2.0)


def exactly(real, fake, family):
    wide = [x.detach().double().requires_grad_() for x in (real, fake)]
    return by_definition(*wide, family)


@pytest.mark.parametrize("shapes", SHAPES, ids=shape_name)
@pytest.mark.parametrize("dtype", DTYPES, ids=dtype_name)
@pytest.mark.parametrize("family", FAMILIES)
def test_values_and_gradients(family, dtype, shapes, backend):
    real, fake = make_logits(family, shapes, dtype)
    with backends.record() as runs:
        results = torch.ops.fastgan.gan_loss(real, fake, family)
    assert [run.backend for run in runs] == [backend]
    ours = values_and_grads(real, fake, family, *results[:2])
    assert_all_as_good_as(ours, by_definition(real, fake, family), exactly(real, fake, family))


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e-3, 20.0, 95.0, 1e4])
@pytest.mark.parametrize("family", FAMILIES)
def test_small_and_large_logits(family, scale, backend):
    real, fake = make_logits(family, ((301,), (301,)), torch.float32, scale=scale)
    results = torch.ops.fastgan.gan_loss(real, fake, family)
    ours = values_and_grads(real, fake, family, *results[:2])
    assert_all_as_good_as(ours, by_definition(real, fake, family), exactly(real, fake, family))


@pytest.mark.parametrize("family", FAMILIES)
def test_one_sided_logits_keep_their_relative_accuracy(family, backend):
    """All scores deep in a tail: losses and gradients are tiny, and still right to a few ulp."""
    generator = torch.Generator().manual_seed(1)
    real = (30 + 5 * torch.rand(100, generator=generator)).requires_grad_()
    fake = (-30 - 5 * torch.rand(100, generator=generator)).requires_grad_()
    results = torch.ops.fastgan.gan_loss(real, fake, family)
    ours = values_and_grads(real, fake, family, *results[:2])
    assert_all_as_good_as(ours, by_definition(real, fake, family), exactly(real, fake, family))


@pytest.mark.parametrize("dtype", DTYPES, ids=dtype_name)
def test_statistics(dtype, backend):
    real, fake = make_logits("hinge", ((2050,), (333,)), dtype)
    statistics = losses.gan_loss(real, fake, family="hinge").statistics
    expected = [f(x) for f in (torch.mean, lambda v: (v > 0).double().mean()) for x in (real.double(), fake.double())]
    torch.testing.assert_close(torch.stack(statistics).double(), torch.stack(expected), rtol=1e-5, atol=1e-7)
    assert not any(each.requires_grad for each in statistics)


@pytest.mark.parametrize("family", FAMILIES)
def test_non_finite_logits_stay_where_they_are(family, backend):
    odd = [float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 1.0, -1.0]
    for pair in itertools.product(odd, odd):  # one pair at a time: in a mean, one NaN hides another's absence
        real, fake = (torch.tensor([value], requires_grad=True) for value in pair)
        results = torch.ops.fastgan.gan_loss(real, fake, family)
        ours = values_and_grads(real, fake, family, *results[:2])
        for actual, stock in zip(ours, by_definition(real, fake, family), strict=True):
            assert torch.equal(actual.isfinite(), stock.isfinite()), pair
            torch.testing.assert_close(actual[actual.isfinite()], stock[stock.isfinite()])


def small_logits(family: str):
    """A few float64 logits away from the corners of hinge."""
    real = torch.tensor([-1.7, 0.3, 2.2, -0.4], dtype=torch.float64).requires_grad_()
    fake = torch.tensor([0.6, -2.1, 1.4, -0.2], dtype=torch.float64).requires_grad_()
    return real, fake


USES = {
    "d": lambda family: lambda r, f: torch.ops.fastgan.gan_loss(r, f, family)[0],
    "g": lambda family: lambda r, f: torch.ops.fastgan.gan_loss(r, f, family)[1],
    "both": lambda family: lambda r, f: torch.ops.fastgan.gan_loss(r, f, family)[:2],
    "public": lambda family: lambda r, f: losses.gan_loss(r, f, family=family)[:2],
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("family", FAMILIES)
def test_first_and_second_derivatives(family, use, backend):
    function, inputs = USES[use](family), small_logits(family)
    assert gradcheck(function, inputs)
    assert gradgradcheck(function, inputs)


@pytest.mark.parametrize("family", [f for f in FAMILIES if f not in reference.PAIRED])
def test_derivatives_of_a_generator_step_without_reals(family, backend):
    _, fake = small_logits(family)
    assert gradcheck(lambda f: losses.generator_loss(None, f, family=family), (fake,))
    assert gradgradcheck(lambda f: losses.generator_loss(None, f, family=family), (fake,))


@pytest.mark.parametrize("family", FAMILIES)
def test_third_derivative(family, backend):
    def third(function):
        real, fake = small_logits(family)
        value = function(real, fake) + (real**4).sum() + (fake**4).sum()  # a linear loss has no third derivative
        for _ in range(3):
            grads = torch.autograd.grad(
                value, (real, fake), create_graph=True, allow_unused=True, materialize_grads=True
            )
            value = sum((g * g).sum() + (1 + i) * g.sum() for i, g in enumerate(grads))
        return value.detach()

    ours = third(lambda r, f: sum(torch.ops.fastgan.gan_loss(r, f, family)[:2]))
    expected = third(lambda r, f: reference.discriminator_loss(r, f, family) + reference.generator_loss(r, f, family))
    torch.testing.assert_close(ours, expected)


def test_second_derivative_is_not_silently_zero(backend):
    real, fake = small_logits("non_saturating")
    d_loss = losses.discriminator_loss(real, fake)
    (grad,) = torch.autograd.grad(d_loss, real, create_graph=True)
    (second,) = torch.autograd.grad(grad.sum(), real)
    torch.testing.assert_close(second, torch.sigmoid(real) * torch.sigmoid(-real) / real.numel())


@pytest.mark.parametrize("family", FAMILIES)
def test_non_contiguous_logits_and_expanded_upstream(family, backend):
    real, fake = make_logits(family, ((6, 10), (6, 10)), torch.float32)
    wide_real, wide_fake = (x.detach().t().contiguous().requires_grad_() for x in (real, fake))
    results = torch.ops.fastgan.gan_loss(wide_real.t(), wide_fake.t(), family)
    (results[0].expand(3, 4).sum() + results[1].expand(5)[::2].sum()).backward()
    straight = torch.ops.fastgan.gan_loss(real, fake, family)
    (12 * straight[0] + 3 * straight[1]).backward()
    torch.testing.assert_close(results[:2], straight[:2])
    torch.testing.assert_close(wide_real.grad.t(), real.grad)
    torch.testing.assert_close(wide_fake.grad.t(), fake.grad)


def test_only_the_loss_in_use_reaches_the_logits(backend):
    """An infinite derivative of the unused loss must not turn into NaN by a product with zero."""
    real, fake = torch.tensor([float("inf")]).requires_grad_(), torch.tensor([3.0]).requires_grad_()
    g_loss = torch.ops.fastgan.gan_loss(real, fake, "least_squares")[1]
    assert torch.autograd.grad(g_loss, (real, fake)) == (torch.tensor([0.0]), torch.tensor([2.0]))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=dtype_name)
def test_bits_do_not_depend_on_threads(family, dtype, need):
    need(backends.why_not("gan_loss", "cpu", "cpu", dtype), "cpu")
    real, fake = make_logits(family, ((100_003,), (50_001,)), dtype)
    runs = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        with backends.use_backend("cpu"):
            runs.append(torch.ops.fastgan.gan_loss(real, fake, family))
    for other in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(runs[0], other, strict=True))


@pytest.mark.parametrize("family", FAMILIES)
def test_opcheck(family, backend):
    real, fake = make_logits(family, ((5,), (5,)), torch.float32)
    torch.library.opcheck(torch.ops.fastgan.gan_loss.default, (real, fake, family))
    if family not in reference.PAIRED:
        torch.library.opcheck(torch.ops.fastgan.gan_loss.default, (None, fake, family))


@pytest.mark.parametrize("family", FAMILIES)
def test_opcheck_of_the_backward(family):
    real, fake = make_logits(family, ((5,), (5,)), torch.float32)
    saved = torch.ops.fastgan.gan_loss(real.detach(), fake.detach(), family)[3:]
    upstream = torch.tensor(0.5, requires_grad=True), torch.tensor(2.0, requires_grad=True)
    # Not test_aot_dispatch_dynamic: AOT autograd traces first derivatives only, and this one's is the second.
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(
        torch.ops.fastgan.gan_loss_backward.default, (*upstream, real, fake, *saved, family), test_utils=tests
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_compile_without_graph_breaks(family, backend):
    torch._dynamo.reset()

    def step(real, fake):
        result = losses.gan_loss(real, fake, family=family)
        return result.d_loss + 3 * result.g_loss

    real, fake = make_logits(family, ((9,), (9,)), torch.float32)
    expected = torch.autograd.grad(step(real, fake), (real, fake))
    compiled = torch.compile(step, fullgraph=True, backend="aot_eager")
    for ours, theirs in zip(torch.autograd.grad(compiled(real, fake), (real, fake)), expected, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("family", FAMILIES)
def test_shapes_on_a_device_that_is_not_there(family):
    """Forward and backward on fake CUDA tensors: right shapes and dtypes, no wait for the device.

    Without gradients: the autograd engine of a CPU-only torch aborts on any CUDA tensor, fake or not.
    """
    with FakeTensorMode():
        real, fake = (torch.empty(6, 1, device="cuda", dtype=torch.float16) for _ in range(2))
        results = torch.ops.fastgan.gan_loss(real, fake, family)
        grads = torch.ops.fastgan.gan_loss_backward(results[0], results[1], real, fake, *results[3:], family)
        public = losses.gan_loss(real, fake, family=family)
    for loss in (*results[:2], *public[:2]):
        assert (loss.shape, loss.dtype, loss.device.type) == ((), torch.float32, "cuda")
    for grad in grads:
        assert (grad.shape, grad.dtype, grad.device.type) == ((6, 1), torch.float16, "cuda")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_step_on_fake_tensors(family, backend):
    with FakeTensorMode():
        real, fake = (torch.empty(6, 1, dtype=torch.float16, requires_grad=True) for _ in range(2))
        results = losses.gan_loss(real, fake, family=family)
        grads = torch.autograd.grad(results.d_loss + results.g_loss, (real, fake))
    assert all(grad.shape == (6, 1) and grad.dtype == torch.float16 for grad in grads)
