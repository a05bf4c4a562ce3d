"""Conversions, comparisons and selections on numbers with known answers."""

import numpy as np
import pytest
import torch

from .ptx_snippets import apply

ODD = [0.0, -0.0, 1.0, 65504.0, 65520.0, 1e-8, 5.96e-8, 3e38, np.inf, -np.inf, np.nan, 1 + 2**-11, 1 + 3 * 2**-11]
F32 = np.concatenate([np.array(ODD, np.float32), np.random.default_rng(1).normal(size=500).astype(np.float32)])


def bits(tensor: torch.Tensor) -> np.ndarray:
    return tensor.view(torch.int16).numpy()


@pytest.mark.parametrize(("name", "dtype"), [("f16", torch.float16), ("bf16", torch.bfloat16)])
def test_float32_to_halves_and_back(name, dtype):
    expected = torch.from_numpy(F32).to(dtype)
    narrow = torch.from_numpy(apply(f"cvt.rn.{name}.f32 %d, %a;", F32, result=np.int16)).view(dtype)
    torch.testing.assert_close(narrow, expected, rtol=0, atol=0, equal_nan=True)
    assert bits(narrow)[F32 != F32].tolist() == [0x7FFF]
    wide = apply(f"cvt.f32.{name} %d, %a;", bits(expected), result=np.float32)
    np.testing.assert_array_equal(wide, expected.float().numpy())
    pair = apply(f"cvt.rn.{name}x2.f32 %d, %a, %b;", F32, F32[::-1].copy(), result=np.uint32)
    numbers = ~np.isnan(F32) & ~np.isnan(F32[::-1])
    upper, lower = (bits(torch.from_numpy(x).to(dtype)).view(np.uint16) for x in (F32, F32[::-1].copy()))
    assert (pair[numbers] == (upper.astype(np.uint32) << 16 | lower)[numbers]).all()


def test_float64_to_bfloat16_rounds_once():
    a = np.array([1 + 2**-8 + 2**-40, 1 + 2**-8, 1 + 2**-8 - 2**-40])
    raw = apply("cvt.rn.bf16.f64 %d, %a;", a, result=np.int16)
    assert torch.from_numpy(raw).view(torch.bfloat16).tolist() == [1 + 2**-7, 1.0, 1.0]


def test_tf32_rounds_ties_away_and_keeps_19_bits():
    a = np.array([1 + 2**-11, -(1 + 2**-11), 1 + 2**-11 - 2**-23, 1 + 2**-10, np.inf], np.float32)
    raw = apply("cvt.rna.tf32.f32 %d, %a;", a, result=np.float32)
    assert raw.tolist() == [1 + 2**-10, -(1 + 2**-10), 1.0, 1 + 2**-10, np.inf]


@pytest.mark.parametrize(
    ("instruction", "values", "expected", "result"),
    [
        ("cvt.rzi.s32.f32", [2.7, -2.7, 3e9, -3e9, np.nan], [2, -2, 2**31 - 1, -(2**31), 0], np.int32),
        ("cvt.rzi.s64.f32", [-2.7, 1e30, np.nan], [-2, 2**63 - 1, -(2**63)], np.int64),
        ("cvt.rni.s32.f32", [2.5, 3.5, -0.4], [2, 4, 0], np.int32),
        ("cvt.rmi.f32.f32", [2.5, -0.5], [2.0, -1.0], np.float32),
        ("cvt.rpi.f32.f32", [2.5, -0.5], [3.0, -0.0], np.float32),
        ("cvt.rzi.u32.f32", [-1.0, 4e9, 5e9], [0, 4000000000, 2**32 - 1], np.uint32),
    ],
)
def test_between_floats_and_integers(instruction, values, expected, result):
    actual = apply(f"{instruction} %d, %a;", np.array(values, np.float32), result=result)
    assert actual.tolist() == expected


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ("cvt.rn.f32.s32", [16777216.0, -1.0, -2147483648.0]),
        ("cvt.rn.f32.u32", [16777216.0, 4294967296.0, 2147483648.0]),
    ],
)
def test_integers_to_floats(instruction, expected):
    a = np.array([16777217, -1, -(2**31)], np.int32)
    assert apply(f"{instruction} %d, %a;", a, result=np.float32).tolist() == expected


def test_registers_wider_than_the_type():
    a = np.array([0x1234_80FF], np.uint32)
    assert apply("cvt.s32.s8 %d, %a;", a, result=np.int32)[0] == -1
    assert apply("cvt.u32.u8 %d, %a;", a, result=np.uint32)[0] == 0xFF
    assert apply("cvt.u32.u16 %d, %a;", a, result=np.uint32)[0] == 0x80FF
    assert apply("cvt.u16.u32 %d, %a;", a, result=np.uint16)[0] == 0x80FF
    assert apply("cvt.sat.s8.s32 %r1, %a; mov.b32 %d, %r1;", np.array([300], np.int32), result=np.int32)[0] == 127


COMPARISONS = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: (a < b) | (a > b),
    "lt": lambda a, b: a < b,
    "ge": lambda a, b: a >= b,
    "neu": lambda a, b: ~(a == b),
    "ltu": lambda a, b: ~(a >= b),
    "num": lambda a, b: ~(np.isnan(a) | np.isnan(b)),
    "nan": lambda a, b: np.isnan(a) | np.isnan(b),
}


@pytest.mark.parametrize("name", COMPARISONS)
def test_comparisons_with_nan(name):
    values = np.array([0.0, -0.0, 1.0, -1.0, np.inf, np.nan], np.float32)
    a, b = (x.reshape(-1) for x in np.meshgrid(values, values))
    actual = apply(f"setp.{name}.f32 %q1, %a, %b; selp.b32 %d, 1, 0, %q1;", a, b, result=np.int32)
    assert actual.tolist() == COMPARISONS[name](a, b).astype(int).tolist()


def test_comparisons_of_integers_know_signs():
    a, b = np.array([-1, 1], np.int32), np.array([1, -1], np.int32)
    assert apply("setp.lt.s32 %q1, %a, %b; selp.b32 %d, 1, 0, %q1;", a, b, result=np.int32).tolist() == [1, 0]
    assert apply("setp.lt.u32 %q1, %a, %b; selp.b32 %d, 1, 0, %q1;", a, b, result=np.int32).tolist() == [0, 1]
    assert apply("setp.hi.u32 %q1, %a, %b; selp.b32 %d, 1, 0, !%q1;", a, b, result=np.int32).tolist() == [0, 1]


def test_a_comparison_of_packed_halves_has_two_results():
    a = torch.tensor([1.0, -1.0, 2.0, 3.0], dtype=torch.float16).view(torch.int32).numpy()
    b = torch.tensor([0.0, 0.0, 5.0, 3.0], dtype=torch.float16).view(torch.int32).numpy()
    body = "setp.gt.f16x2 %q1|%q2, %a, %b; selp.b32 %r1, 1, 0, %q1; selp.b32 %r2, 2, 0, %q2; or.b32 %d, %r1, %r2;"
    assert apply(body, a, b, result=np.int32).tolist() == [1, 0]


def test_predicates_combine():
    a, b = np.array([1, 1, 5, 5], np.int32), np.array([1, 9, 1, 9], np.int32)
    body = (
        "setp.lt.s32 %q1, %a, 3; setp.lt.and.s32 %q2, %b, 3, %q1; or.pred %q3, %q1, %q2; not.pred %q4, %q3;"
        "selp.b32 %r1, 1, 0, %q2; selp.b32 %r2, 2, 0, %q3; selp.b32 %r3, 4, 0, %q4;"
        "add.s32 %r1, %r1, %r2; add.s32 %d, %r1, %r3;"
    )
    assert apply(body, a, b, result=np.int32).tolist() == [3, 2, 4, 4]
