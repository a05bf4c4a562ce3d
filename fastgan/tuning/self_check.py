"""The self-check: does a backend compute on this device what the reference computes in float64, twice alike?"""

from collections.abc import Sequence

import torch
from torch import Tensor

from fastgan import backends
from fastgan.errors import BackendError
from fastgan.tuning.cases import Case
from fastgan.tuning.timing import synchronise

FACTOR = 2.0  # of stock torch's own error at that dtype
_ULPS = 2.0
_ULPS_OF_ONE = 8.0  # of a result that is one number: stock torch's error of it is chance


def complaint(case: Case, backend: str, device: torch.device, dtype: torch.dtype) -> str | None:
    """None if `backend` passes on this case, else one sentence.

    The rule: where both errors are taken against float64, ||e|| / ||exact|| and max|e| / max|exact| are at most FACTOR
    times those of stock torch plus 2 ulp; and two runs give the same bits.
    Raises BackendError if the device is of no use any more, which is what an access out of bounds does to a GPU.
    """
    try:
        first, second = (_results(case, backend, device, dtype) for _ in range(2))
        synchronise(device)
    except Exception as error:
        _check_usable(case, backend, device, error)
        return f"it raised {_first_line(error)}"
    try:
        stock = _results(case, "reference", device, dtype)
        exact = _results(case, "reference", device, dtype, wide=True)
    except torch.OutOfMemoryError:
        return "no memory for the reference"
    for number, (ours, again, theirs, truth) in enumerate(zip(first, second, stock, exact, strict=True)):
        if ours.shape != truth.shape or ours.dtype != theirs.dtype:
            return f"result {number} is {ours.dtype} {list(ours.shape)}, not {theirs.dtype} {list(truth.shape)}"
        if not ours.isfinite().all():
            return f"result {number} is not finite"
        if not torch.equal(ours, again):
            return f"result {number} differs between two runs"
        if wrong := too_far(ours, theirs, truth):
            return f"result {number}: {wrong}"
    return None


def too_far(ours: Tensor, stock: Tensor, exact: Tensor) -> str | None:
    """None if `ours` is as good as the rule asks for, else by how much it is not."""
    ulp = torch.finfo(ours.dtype).eps
    slack = (_ULPS_OF_ONE if exact.numel() == 1 else _ULPS) * ulp
    for name, mine, theirs in zip(("norm", "maximum"), _errors(ours, exact), _errors(stock, exact), strict=True):
        allowed = FACTOR * theirs + slack
        if not mine <= allowed:
            return f"error by {name} {mine:.1e}, allowed {allowed:.1e}"
    return None


def _errors(actual: Tensor, exact: Tensor) -> tuple[float, float]:
    if not exact.numel():
        return 0.0, 0.0
    difference = actual.double() - exact
    norm, largest = exact.norm().item(), exact.abs().max().item()
    return difference.norm().item() / (norm or 1.0), difference.abs().max().item() / (largest or 1.0)


def _results(
    case: Case, backend: str, device: torch.device, dtype: torch.dtype, wide: bool = False
) -> Sequence[Tensor]:
    with backends.use_backend(backend):
        return [result.detach() for result in case.prepare(device, dtype, wide)()]


def _check_usable(case: Case, backend: str, device: torch.device, error: Exception) -> None:
    try:
        torch.zeros(1, device=device).add_(1).item()
        synchronise(device)
    except RuntimeError:
        where = f"{case.operator} on {case.measured_on}"
        raise BackendError(
            f"tune: {backend} left the device unusable in {where} ({_first_line(error)}); nothing was written"
        ) from None


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:200]
