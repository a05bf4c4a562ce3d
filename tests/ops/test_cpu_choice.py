"""Which convolution `auto` takes for a call on a CPU, by how often it uses each weight."""

import pytest
import torch

from fastgan import backends, native
from fastgan.functional import affine_act_conv_transpose2d
from fastgan.ops.conv_triple import conv2d, conv_transpose2d
from fastgan.ops.cpu_choice import LEAST_USES, LEAST_USES_OF_ONE_PIXEL, for_call


@pytest.fixture(autouse=True)
def _wide_vectors(need):
    need(native.ops_missing(), "cpu")
    narrow = "auto takes ATen's convolutions throughout" if native.cpu_capability() == "default" else None
    need(narrow, "avx2")


def _ran(call) -> list[str]:
    with backends.record() as runs:
        call()
    return [f"{each.op} {each.backend}" for each in runs]


@pytest.mark.parametrize(
    ("images", "pixels", "taken"), [(3, 16, "aten"), (4, 16, "cpu"), (7, 1, "aten"), (8, 1, "cpu")]
)
def test_a_weight_must_be_used_often(images, pixels, taken):
    assert for_call("cpu", images, pixels) == taken


def test_the_limits_are_those_of_the_cases_above():
    assert (LEAST_USES, LEAST_USES_OF_ONE_PIXEL) == (64, 8)


def test_a_forced_backend_stays():
    with backends.use_backend("cpu"):
        assert for_call("cpu", 1, 1) == "cpu"
    assert for_call("reference", 1, 1) == "reference"


@pytest.mark.parametrize("images", [1, 4])
def test_calls_run_what_was_chosen_and_agree(images):
    torch.manual_seed(0)
    small, large = (
        torch.randn(images, 40, 4, 4, dtype=torch.float64),
        torch.randn(images, 32, 8, 8, dtype=torch.float64),
    )
    weight = torch.randn(40, 32, 4, 4, dtype=torch.float64)
    taken = "aten" if images == 1 else "cpu"
    plain = lambda: conv2d(large, weight, [2, 2], [1, 1])  # noqa: E731
    transposed = lambda: conv_transpose2d(small, weight, [8, 8], [2, 2], [1, 1])  # noqa: E731
    assert _ran(plain) == [f"conv2d {taken}"]
    assert _ran(transposed) == [f"conv_transpose2d {taken}"]
    with backends.use_backend("reference"):
        expected = plain(), transposed()
    torch.testing.assert_close((plain(), transposed()), expected)


@pytest.mark.parametrize("images", [1, 4])
def test_both_passes_of_a_chain_operator_take_the_same(images):
    x = torch.randn(images, 40, 4, 4, requires_grad=True)
    weight = torch.randn(40, 32, 4, 4, requires_grad=True)
    taken = "aten" if images == 1 else "cpu"

    def step():
        y, *_ = affine_act_conv_transpose2d(x, weight, stride=2, padding=1)
        y.sum().backward()

    chain = [each for each in _ran(step) if each.startswith("affine_act_conv")]
    assert chain == [f"affine_act_conv_transpose2d {taken}", f"affine_act_conv_transpose2d_backward {taken}"]
