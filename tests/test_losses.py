"""fastgan.losses: the formulas in plain numbers, and what is refused in words."""

import math

import pytest
import torch

from fastgan import losses

REAL, FAKE = [2.0, -1.0, 0.5], [-3.0, 0.25, 1.0]


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def mean(values) -> float:
    values = list(values)
    return sum(values) / len(values)


EXPECTED = {
    "non_saturating": (
        mean(softplus(-r) for r in REAL) + mean(softplus(f) for f in FAKE),
        mean(softplus(-f) for f in FAKE),
    ),
    "hinge": (mean(max(0, 1 - r) for r in REAL) + mean(max(0, 1 + f) for f in FAKE), -mean(FAKE)),
    "least_squares": (
        mean((r - 1) ** 2 / 2 for r in REAL) + mean(f * f / 2 for f in FAKE),
        mean((f - 1) ** 2 / 2 for f in FAKE),
    ),
    "wasserstein": (mean(FAKE) - mean(REAL), -mean(FAKE)),
    "rpgan": (
        mean(softplus(f - r) for r, f in zip(REAL, FAKE, strict=True)),
        mean(softplus(r - f) for r, f in zip(REAL, FAKE, strict=True)),
    ),
}


@pytest.mark.parametrize("family", losses.FAMILIES)
def test_formulas(family):
    real, fake = torch.tensor(REAL), torch.tensor(FAKE)
    d_expected, g_expected = EXPECTED[family]
    both = losses.gan_loss(real, fake, family=family)
    d_named = getattr(losses, f"{family}_d_loss")(real, fake)
    g_named = getattr(losses, f"{family}_g_loss")(real, fake)
    for d_loss in (both.d_loss, d_named, losses.discriminator_loss(real, fake, family=family)):
        assert d_loss.item() == pytest.approx(d_expected, rel=1e-6)
    for g_loss in (both.g_loss, g_named, losses.generator_loss(real, fake, family=family)):
        assert g_loss.item() == pytest.approx(g_expected, rel=1e-6)


def test_every_family_is_in_the_table_of_this_test():
    assert tuple(EXPECTED) == losses.FAMILIES


@pytest.mark.parametrize("family", ["non_saturating", "hinge", "least_squares", "wasserstein"])
def test_a_generator_step_needs_no_reals(family):
    loss = losses.generator_loss(None, torch.tensor(FAKE), family=family)
    assert loss.item() == pytest.approx(EXPECTED[family][1], rel=1e-6)


def test_the_default_family_is_non_saturating():
    assert losses.gan_loss(torch.tensor(REAL), torch.tensor(FAKE)).d_loss.item() == pytest.approx(
        EXPECTED["non_saturating"][0], rel=1e-6
    )


X = torch.zeros(3)
REFUSALS = {
    "unknown family": (ValueError, "family must be one of", (X, X, "mse")),
    "empty fakes": (
        ValueError,
        "fake_logits must hold at least one logit, got shape \\(0,\\)",
        (X, X[:0], "hinge"),
    ),
    "empty reals": (ValueError, "real_logits must hold", (X[:0], X, "hinge")),
    "no tensor": (TypeError, "real_logits must be a tensor, got list", ([0.0], X, "hinge")),
    "integers": (TypeError, "fake_logits must be float32", (X, X.long(), "hinge")),
    "two dtypes": (ValueError, "must share dtype and device", (X.half(), X, "hinge")),
    "no reals": (ValueError, "real_logits must be given", (None, X, "hinge")),
    "unpaired": (ValueError, "as many reals as fakes, got 3 and 2", (X, X[:2], "rpgan")),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals(case):
    kind, words, (real, fake, family) = REFUSALS[case]
    for function in (losses.gan_loss, losses.discriminator_loss):
        with pytest.raises(kind, match=f"{function.__name__}: .*{words}") as caught:
            function(real, fake, family=family)
        assert "\n" not in str(caught.value)


def test_rpgan_needs_reals_for_the_generator():
    with pytest.raises(ValueError, match="real_logits must be given for family 'rpgan'"):
        losses.rpgan_g_loss(None, X)
