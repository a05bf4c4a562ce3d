"""gan_loss on a real GPU: the cuda and triton backends forced, against the definition in float64."""

import pytest
import torch
from support.tolerances import assert_as_good_as
from torch.autograd import gradcheck, gradgradcheck

from fastgan import backends, losses, tuned
from fastgan.reference import gan_loss as reference

pytestmark = pytest.mark.gpu

FAMILIES = losses.FAMILIES
HALVES_AND_FLOAT = [torch.float32, torch.float16, torch.bfloat16]
SHAPES = [((1,), (1,)), ((7,), (3,)), ((1023,), (1025,)), ((64, 1), (3, 1, 5, 5)), ((1_000_003,), (65_536,))]


@pytest.fixture(params=["cuda", "triton"])
def backend(request, need):
    need(backends.why_not("gan_loss", request.param, "cuda", torch.float32), request.param)
    with backends.use_backend(request.param):
        yield request.param


@pytest.fixture
def cuda_backend(need):
    need(backends.why_not("gan_loss", "cuda", "cuda", torch.float32), "cuda")
    with backends.use_backend("cuda"):
        yield


def make_logits(family: str, shapes, dtype: torch.dtype, scale: float = 3.0):
    generator = torch.Generator().manual_seed(0)
    shapes = (shapes[0], shapes[0]) if family in reference.PAIRED else shapes
    drawn = [torch.randn(shape, generator=generator).mul(scale) for shape in shapes]
    return [x.to("cuda", dtype).requires_grad_() for x in drawn]


def with_gradients(d_loss, g_loss, real, fake):
    upstream = 0.7 * torch.ones_like(d_loss), -1.9 * torch.ones_like(g_loss)
    return [d_loss.detach(), g_loss.detach(), *torch.autograd.grad((d_loss, g_loss), (real, fake), upstream)]


def by_definition(real, fake, family):
    d_loss = reference.discriminator_loss(real, fake, family)
    return with_gradients(d_loss, reference.generator_loss(real, fake, family), real, fake)


def check(real, fake, family, backend):
    with backends.record() as runs:
        results = losses.gan_loss(real, fake, family=family)
    assert [run.backend for run in runs] == [backend]
    ours = with_gradients(results.d_loss, results.g_loss, real, fake)
    wide = [x.detach().double().requires_grad_() for x in (real, fake)]
    stock, exact = by_definition(real, fake, family), by_definition(*wide, family)
    for actual, by_stock, by_exact in zip(ours, stock, exact, strict=True):
        # In float64 the "exact" result is stock torch's own, whose error is then not seen: leave room for it.
        assert_as_good_as(actual, by_stock, by_exact, ulps=8.0 if actual.dtype == torch.float64 else 2.0)
    expected = reference.statistics(*wide)
    torch.testing.assert_close(torch.stack(results.statistics).double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shapes", SHAPES, ids=lambda shapes: "-".join("x".join(map(str, s)) for s in shapes))
@pytest.mark.parametrize("dtype", HALVES_AND_FLOAT, ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_values_and_gradients(family, dtype, shapes, backend):
    check(*make_logits(family, shapes, dtype), family, backend)


@pytest.mark.parametrize("shapes", SHAPES[:4], ids=lambda shapes: "-".join("x".join(map(str, s)) for s in shapes))
@pytest.mark.parametrize("family", FAMILIES)
def test_values_and_gradients_in_float64(family, shapes, cuda_backend):
    check(*make_logits(family, shapes, torch.float64), family, "cuda")


@pytest.mark.parametrize("scale", [0.0, 20.0, 95.0, 1e4])
@pytest.mark.parametrize("family", FAMILIES)
def test_small_and_large_logits(family, scale, backend):
    check(*make_logits(family, ((301,), (301,)), torch.float32, scale), family, backend)


@pytest.mark.parametrize("family", FAMILIES)
def test_non_finite_logits_stay_where_they_are(family, backend):
    odd = torch.tensor([float("nan"), float("inf"), -float("inf"), 0.0, 1.0, -1.0], device="cuda")
    pairs = torch.cartesian_prod(odd, odd)
    real, fake = pairs[:, 0].clone().requires_grad_(), pairs[:, 1].clone().requires_grad_()
    results = losses.gan_loss(real, fake, family=family)
    ours = with_gradients(results.d_loss, results.g_loss, real, fake)
    for actual, stock in zip(ours, by_definition(real, fake, family), strict=True):
        assert torch.equal(actual.isfinite(), stock.isfinite())


@pytest.mark.parametrize("family", FAMILIES)
def test_second_derivatives(family, cuda_backend):
    real = torch.tensor([-1.7, 0.3, 2.2, -0.4], dtype=torch.float64, device="cuda", requires_grad=True)
    fake = torch.tensor([0.6, -2.1, 1.4, -0.2], dtype=torch.float64, device="cuda", requires_grad=True)

    def both(r, f):
        return losses.gan_loss(r, f, family=family)[:2]

    assert gradcheck(both, (real, fake))
    assert gradgradcheck(both, (real, fake))


@pytest.mark.parametrize("family", FAMILIES)
def test_second_derivatives_in_float32(family, backend):
    real, fake = make_logits(family, ((33,), (33,)), torch.float32)

    def penalty(d_loss):
        grads = torch.autograd.grad(d_loss, (real, fake), create_graph=True)
        value = sum((g * g).sum() for g in grads) + 0 * (real.sum() + fake.sum())
        return torch.autograd.grad(value, (real, fake))

    ours = penalty(losses.discriminator_loss(real, fake, family=family))
    expected = penalty(reference.discriminator_loss(real, fake, family) + 0 * (real**2).sum() + 0 * (fake**2).sum())
    for actual, by_reference in zip(ours, expected, strict=True):
        torch.testing.assert_close(actual, by_reference)


@pytest.mark.parametrize("family", FAMILIES)
def test_repeats_give_the_same_bits(family, backend):
    real, fake = make_logits(family, ((300_001,), (300_001,)), torch.float32)
    first = torch.ops.fastgan.gan_loss(real, fake, family)
    for _ in range(5):
        again = torch.ops.fastgan.gan_loss(real, fake, family)
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_runs_on_the_current_stream(backend):
    """The logits are written late on a side stream: an operator on another stream would read them too early."""
    stream = torch.cuda.Stream()
    real, fake = torch.zeros(4096, device="cuda"), torch.zeros(4096, device="cuda")
    losses.gan_loss(real, fake, family="wasserstein")  # compiles, if it has to
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(200_000_000)
        real.fill_(3.0)
        fake.fill_(-2.0)
        results = losses.gan_loss(real, fake, family="wasserstein")
    stream.synchronize()
    assert results.d_loss.item() == -5.0 and results.g_loss.item() == 2.0


def test_does_not_wait_for_the_device(backend):
    real, fake = make_logits("hinge", ((64,), (64,)), torch.float32)
    losses.gan_loss(real, fake, family="hinge").d_loss.backward()
    torch.cuda.set_sync_debug_mode("error")
    try:
        losses.gan_loss(real, fake, family="hinge").d_loss.backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_can_be_captured_in_a_graph(backend):
    real, fake = (x.detach() for x in make_logits("hinge", ((5000,), (5000,)), torch.float32))
    expected = losses.gan_loss(real, fake, family="hinge").d_loss
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = losses.gan_loss(real, fake, family="hinge").d_loss
    graph.replay()
    torch.cuda.synchronize()
    assert torch.equal(captured, expected)


def test_non_contiguous_logits(backend):
    wide = torch.randn(50, 40, device="cuda")
    loss = losses.discriminator_loss(wide.t(), wide[::2], family="hinge")
    expected = reference.discriminator_loss(wide.t(), wide[::2], "hinge")
    torch.testing.assert_close(loss, expected)


def test_auto_is_the_reference_until_measured():
    real, fake = make_logits("hinge", ((8,), (8,)), torch.float32)
    with tuned.using(None), backends.record() as runs:
        losses.gan_loss(real, fake, family="hinge")
    assert [run.backend for run in runs] == ["reference"]


@pytest.mark.parametrize("family", FAMILIES)
def test_compile_without_graph_breaks(family, backend):
    torch._dynamo.reset()
    real, fake = make_logits(family, ((9,), (9,)), torch.float32)

    def step(r, f):
        result = losses.gan_loss(r, f, family=family)
        return result.d_loss + 3 * result.g_loss

    expected = torch.autograd.grad(step(real, fake), (real, fake))
    compiled = torch.compile(step, fullgraph=True, backend="aot_eager")
    for ours, theirs in zip(torch.autograd.grad(compiled(real, fake), (real, fake)), expected, strict=True):
        torch.testing.assert_close(ours, theirs)
