"""The error rule of the project: at most twice the error stock torch makes at that dtype, plus two ulp.

Errors are taken against float64, as ||e|| / ||exact|| and as max|e| / max|exact|; both must hold.
"""

import torch
from torch import Tensor


def errors(actual: Tensor, exact: Tensor) -> tuple[float, float]:
    """(||e|| / ||exact||, max|e| / max|exact|); absolute errors where `exact` is zero throughout."""
    difference, exact = actual.double() - exact, exact.double()
    norm, largest = exact.norm().item(), exact.abs().max().item()
    return difference.norm().item() / (norm or 1.0), difference.abs().max().item() / (largest or 1.0)


def assert_as_good_as(actual: Tensor, stock: Tensor, exact: Tensor, factor: float = 2.0, ulps: float = 2.0) -> None:
    """Fail unless each error of `actual` is at most factor * the error of `stock` + ulps of actual.dtype.

    actual, stock: one dtype, any shape. exact: float64, the same shape. All three must be
    non-finite at the same places, which then do not count.
    """
    assert actual.dtype == stock.dtype, f"dtype {actual.dtype}, stock torch gives {stock.dtype}"
    assert actual.shape == exact.shape == stock.shape, f"shapes {actual.shape}, {stock.shape}, {exact.shape}"
    finite = exact.to(actual.dtype).isfinite()
    assert torch.equal(actual.isfinite(), finite), "non-finite values at other places than in the exact result"
    if not finite.any():
        return
    actual, stock, exact = actual[finite].detach(), stock[finite].detach(), exact[finite].detach()
    ulp = torch.finfo(actual.dtype).eps
    for name, ours, theirs in zip(("norm", "maximum"), errors(actual, exact), errors(stock, exact), strict=True):
        allowed = factor * theirs + ulps * ulp
        assert ours <= allowed, f"relative error by {name} is {ours:.3e}, allowed {allowed:.3e} (stock {theirs:.3e})"
