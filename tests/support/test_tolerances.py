"""The error rule itself: it must refuse what a broken kernel would give."""

import pytest
import torch
from support.tolerances import assert_as_good_as, errors


@pytest.fixture
def exact() -> torch.Tensor:
    return torch.randn(257, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_accepts_the_rounded_result(exact, dtype):
    assert_as_good_as(exact.to(dtype), exact.to(dtype), exact)


@pytest.mark.parametrize(
    "broken",
    [
        lambda x: -x,
        lambda x: torch.zeros_like(x),
        lambda x: x * 1.01,
        lambda x: x.roll(1),
        lambda x: torch.cat([x[:-1], x.new_tensor([float("nan")])]),
        lambda x: torch.cat([x[:-1], x[-1:] + 0.01]),
    ],
    ids=["sign", "zero", "one-percent", "shifted", "nan", "one-element"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_refuses_a_broken_result(exact, dtype, broken):
    with pytest.raises(AssertionError):
        assert_as_good_as(broken(exact).to(dtype), exact.to(dtype), exact)


def test_refuses_another_dtype(exact):
    with pytest.raises(AssertionError, match="dtype"):
        assert_as_good_as(exact.float(), exact.half(), exact)


def test_refuses_a_finite_value_where_the_exact_one_is_not(exact):
    with_nan = exact.clone()
    with_nan[3] = float("nan")
    with pytest.raises(AssertionError, match="non-finite"):
        assert_as_good_as(exact.float(), with_nan.float(), with_nan)


def test_errors_of_a_known_case():
    by_norm, by_maximum = errors(torch.tensor([3.0, 4.5]), torch.tensor([3.0, 4.0], dtype=torch.float64))
    assert (by_norm, by_maximum) == (0.1, 0.125)
