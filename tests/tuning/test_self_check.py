"""The self-check and the timing of `fastgan tune`: a wrong operator fails, a right one passes, the faster one wins."""

import itertools
import time

import pytest
import torch

from fastgan import backends, native
from fastgan.tuning.cases import Case, cases
from fastgan.tuning.networks import pays
from fastgan.tuning.self_check import complaint, too_far
from fastgan.tuning.timing import Contender, Timing, compare

CPU = torch.device("cpu")


def case_of(change) -> Case:
    """sqrt of a few numbers; what runs on backend cpu goes through `change`."""

    def prepare(device, dtype, wide):
        x = torch.linspace(1, 2, 101).to(device, dtype)
        x = x.double() if wide else x

        def call():
            y = x.sqrt()
            return [y if backends.current() == "reference" else change(y)]

        return call

    return Case("an_operator", "a class", "101 numbers", prepare)


def raises(y):
    raise RuntimeError("out of resources\nand more")


calls = itertools.count()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda y: -y, "result 0: error by norm"),
        (lambda y: 0 * y, "result 0: error by norm"),
        (lambda y: 1.01 * y, "result 0: error by norm"),
        (lambda y: torch.cat([y[:-1], y[-1:] * (1 + 6e-7)]), "result 0: error by maximum"),
        (lambda y: y / 0, "result 0 is not finite"),
        (lambda y: y.double(), "result 0 is torch.float64 [101], not torch.float32 [101]"),
        (lambda y: y[1:], "result 0 is torch.float32 [100], not torch.float32 [101]"),
        (lambda y: torch.nextafter(y, y + next(calls) % 2 * 2 - 1), "result 0 differs between two runs"),
        (raises, "it raised RuntimeError: out of resources"),
    ],
    ids=["sign", "zero", "one-percent", "one-element", "infinite", "dtype", "shape", "two-runs", "raises"],
)
def test_what_is_wrong_fails(change, said):
    got = complaint(case_of(change), "cpu", CPU, torch.float32)
    assert got is not None and got.startswith(said) and "\n" not in got


def test_what_is_right_passes():
    assert complaint(case_of(lambda y: y), "cpu", CPU, torch.float32) is None
    assert complaint(case_of(lambda y: torch.nextafter(y, y + 1)), "cpu", CPU, torch.float32) is None


def test_the_rule_follows_the_error_of_stock_torch():
    exact = torch.linspace(1, 2, 101, dtype=torch.float64)
    stock = (exact * (1 + 1e-4)).float()
    assert too_far((exact * (1 + 1.9e-4)).float(), stock, exact) is None
    assert too_far((exact * (1 + 2.1e-4)).float(), stock, exact)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_the_native_operators_pass_on_the_layers_of_a_preset(need, dtype, small):
    need(native.ops_missing(), "cpu")
    found = [each for each in cases(small) if not backends.why_not(each.operator, "cpu", "cpu", dtype)]
    said = {(each.operator, each.measured_on): complaint(each, "cpu", CPU, dtype) for each in found}
    assert len(said) > 10
    assert not {key: value for key, value in said.items() if value}


def test_float64_has_the_same_arguments(small):
    """Both errors are taken against it, so numbers that differ would excuse each other."""
    for case in cases(small):
        with backends.use_backend("reference"):
            narrow, wide = (case.prepare(CPU, torch.float32, wide)() for wide in (False, True))
        for got, exact in zip(narrow, wide, strict=True):
            assert exact.dtype == torch.float64
            assert (got.double() - exact).norm() <= 4e-6 * exact.norm(), case


def test_the_faster_contender_is_seen():
    slow, quick = (Contender(lambda s=s: time.sleep(s), lambda: backends.use_backend("auto")) for s in (0.02, 0.001))
    won, lost = (compare(*pair, CPU, rounds=3, seconds=0.0) for pair in ((quick, slow), (slow, quick)))
    assert won.speedup > 2 and won.ours < won.theirs
    assert lost.speedup < 0.5 and not lost.faster


@pytest.mark.parametrize(
    ("speedup", "least", "faster"),
    [(1.3, 1.1, True), (1.05, 1.0, True), (1.04, 1.03, False), (1.3, 0.99, False)],
    ids=["clearly", "just", "too-little", "not-always"],
)
def test_faster_means_beyond_noise(speedup, least, faster):
    assert Timing(1.0, speedup, speedup, least).faster is faster


def test_chains_pay_where_one_network_wins_and_none_loses():
    wins, even, loses = (Timing(1.0, ratio, ratio, ratio) for ratio in (1.3, 0.96, 0.94))
    assert pays([wins, even])
    assert not pays([wins, loses])
    assert not pays([even])
    assert not pays([])
