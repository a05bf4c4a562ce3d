"""gan_loss's launcher, its kernels compiled for sm_80 and sm_90 and emulated, against the definition in float64."""

import pytest
import torch
from support.tolerances import assert_as_good_as

from fastgan.reference import gan_loss as reference

from .ptx import Order

pytestmark = pytest.mark.emulation
TARGETS = ("sm_80", pytest.param("sm_90", marks=pytest.mark.emulation_full))
CASES = [  # shape of the reals, of the fakes, scale
    pytest.param((1,), (1,), 3.0, id="one"),
    pytest.param((7, 3), (1025,), 3.0, id="two tiles"),
    pytest.param((2048,), (2048,), 3.0, id="whole tiles"),
    pytest.param(None, (50,), 3.0, id="no reals"),
]


def stock(real, fake, family):
    """The losses and their gradients as the launcher returns them, in the dtype of the definition."""
    d, g = (f(real, fake, family) for f in (reference.discriminator_loss, reference.generator_loss))
    by = reference.gradients(real, fake, family)
    return [d, g, *(gradient for gradient in (by.d_real, by.d_fake, by.g_real, by.g_fake) if gradient is not None)]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("family", reference.FAMILIES)
@pytest.mark.parametrize(("real_shape", "fake_shape", "scale"), CASES)
@pytest.mark.parametrize(
    "dtype", [torch.float32, pytest.param(torch.bfloat16, marks=pytest.mark.emulation_full)], ids=str
)
def test_losses_and_gradients(rig, target, family, real_shape, fake_shape, scale, dtype):
    paired = family in reference.PAIRED
    if real_shape is None and paired:
        real_shape = fake_shape
    generator = torch.Generator().manual_seed(0)
    fake = torch.randn(fake_shape, generator=generator).mul(scale).to(dtype)
    shape = fake_shape if paired else real_shape
    real = None if shape is None else torch.randn(shape, generator=generator).mul(scale).to(dtype)
    with rig.capture.emulated(target, Order("shuffled", "reverse")):
        results = rig.cases.gan_loss.gan_loss(real, fake, reference.FAMILIES.index(family))
    d, g, statistics, d_real, d_fake, g_real, g_fake = results
    gradients = (
        [d_real, d_fake, g_real, g_fake] if paired else [d_fake, g_fake] if real is None else [d_real, d_fake, g_fake]
    )
    wide = [None if x is None else x.double() for x in (real, fake)]
    for actual, by_stock, exact in zip(
        [d, g, *gradients], stock(real, fake, family), stock(*wide, family), strict=True
    ):
        assert_as_good_as(actual, by_stock.reshape(actual.shape), exact.reshape(actual.shape))
    torch.testing.assert_close(statistics, reference.statistics(real, fake), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("target", TARGETS)
def test_no_sum_depends_on_the_order(rig, target):
    real, fake = (torch.randn(3000, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    results = []
    for order in (Order(), Order("descending", "reverse")):
        with rig.capture.emulated(target, order):
            results.append(rig.cases.gan_loss.gan_loss(real, fake, 0))
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))
