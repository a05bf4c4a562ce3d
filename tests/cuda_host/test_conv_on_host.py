"""affine_act_conv's CUDA kernels run on the CPU by the host shim, under every schedule, against float64."""

import ctypes

import pytest
from support.chain_rows import case_of

from . import build
from .conv_calls import Call
from .conv_checks import CHECKS, right
from .conv_rows import LARGE, ROWS, SAMPLED, row

SCHEDULES = (0, 7, 2, 4)


class OnHost:
    """A subject of the checks: the launchers of a library, each order a schedule."""

    orders = len(SCHEDULES)

    def __init__(self, library: ctypes.CDLL, monkeypatch):
        self._library, self._monkeypatch = library, monkeypatch

    def call(self, *arguments, **options) -> Call:
        return Call(self._library, *arguments, **options)

    def run(self, call: Call, order: int = 0):
        self._monkeypatch.setenv("FASTGAN_CUDA_HOST_SCHEDULE", str(SCHEDULES[order]))
        return call.results()


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    return ctypes.CDLL(str(build.launchers()))


@pytest.fixture
def subject(library, monkeypatch) -> OnHost:
    return OnHost(library, monkeypatch)


def _parameters():
    for each in (*ROWS, *LARGE):
        for order, schedule in enumerate(SCHEDULES[:1] if each in LARGE else SCHEDULES):
            sampled = each.configuration in SAMPLED and schedule in (0, 2)
            marks = [] if sampled else [pytest.mark.cuda_host]
            yield pytest.param(each, order, id=f"{each.configuration}-schedule-{schedule}", marks=marks)


@pytest.mark.parametrize(("of", "order"), list(_parameters()))
def test_rows(subject, of, order):
    right(subject, of, order)


@pytest.mark.cuda_host
@pytest.mark.parametrize("name", CHECKS)
def test_checks(subject, name):
    CHECKS[name](subject)


REFUSALS = [
    pytest.param({"type": 1}, "maps must be float32, float16 or bfloat16", id="double"),
    pytest.param({"bias_type": 3}, "bias must have the maps' type or be float32", id="bias"),
    pytest.param({"activation": 3}, "tanh is an output activation only", id="tanh"),
    pytest.param({"var": None}, "mean and var go together", id="var"),
    pytest.param({"pixels": True}, "neither activated nor pixels", id="pixels"),
    pytest.param({"images": 2**26}, "at most 2^30 pixels in all", id="pixels of maps"),
]


@pytest.mark.parametrize(("change", "words"), REFUSALS)
def test_what_a_launcher_refuses(subject, change, words):
    call = subject.call(case_of(row(SAMPLED[0])))
    for name, value in change.items():
        setattr(call.arguments, name, value)
    with pytest.raises(RuntimeError, match=words.replace("^", r"\^")):
        call.run()
