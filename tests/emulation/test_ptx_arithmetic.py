"""Each class of instruction on numbers with known answers, by numpy, Python's integers or exact fractions."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from .ptx_snippets import apply

RANDOM = np.random.default_rng(0)
I32 = np.array([0, 1, -1, 7, -7, 2**31 - 1, -(2**31), 12345, -98765], np.int32)
U32 = I32.view(np.uint32)
I64 = np.concatenate([I32.astype(np.int64), [2**62 + 3, -(2**63), 2**63 - 1]])
F32 = np.array([0.0, -0.0, 1.0, -1.5, 3.25e-3, 1e30, -1e-40, np.inf, -np.inf, np.nan], np.float32)


def pairs(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.meshgrid(values, values)
    return a.reshape(-1), b.reshape(-1)


def wrapped(value: int, bits: int, signed: bool) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if signed and value >> (bits - 1) else value


INTEGER = {
    "add.s32": lambda a, b: a + b,
    "sub.s32": lambda a, b: a - b,
    "mul.lo.s32": lambda a, b: a * b,
    "mul.hi.s32": lambda a, b: a * b >> 32,
    "div.s32": lambda a, b: -1 if b == 0 else int(Fraction(a, b)),
    "rem.s32": lambda a, b: a if b == 0 else a - b * int(Fraction(a, b)),
    "min.s32": min,
    "max.s32": max,
    "xor.b32": lambda a, b: a ^ b,
    "mul.hi.s64": lambda a, b: a * b >> 64,
    "mul.hi.u64": lambda a, b: a * b >> 64,
    "div.u64": lambda a, b: -1 if b == 0 else a // b,
    "add.u64": lambda a, b: a + b,
}


@pytest.mark.parametrize("name", INTEGER)
def test_integers(name):
    bits, signed = int(name[-2:]), ".u" not in name
    values = I32 if bits == 32 else I64
    a, b = pairs(values if signed else values.view(np.uint64))
    actual = apply(f"{name} %d, %a, %b;", a, b, result=a.dtype)
    expected = [wrapped(INTEGER[name](int(x), int(y)), bits, signed) for x, y in zip(a, b, strict=True)]
    assert actual.tolist() == expected


@pytest.mark.parametrize("name", ["add.s16x2", "add.u16x2", "min.s16x2", "max.s16x2", "min.u16x2", "max.u16x2"])
def test_two_integers_in_a_register(name):
    a, b = pairs(U32)
    kind = np.int16 if ".s16" in name else np.uint16
    function = {"add": np.add, "min": np.minimum, "max": np.maximum}[name[:3]]
    actual = apply(f"{name} %d, %a, %b;", a, b, result=np.uint32)
    assert actual.view(kind).tolist() == function(a.view(kind), b.view(kind)).tolist()


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ("mul.wide.s32 %d, %a, %b;", lambda a, b: a * b),
        ("mul.wide.u32 %d, %a, %b;", lambda a, b: (a % 2**32) * (b % 2**32)),
        ("mul.wide.s32 %d, %a, %b; mad.wide.s32 %d, %a, 3, %d;", lambda a, b: a * b + a * 3),
        ("mov.b64 %l5, {%a, %b}; mov.b64 {%r1, %r2}, %l5; mov.b64 %d, {%r2, 0};", lambda a, b: b % 2**32),
        ("mov.b64 %d, {%a, %b};", lambda a, b: b % 2**32 << 32 | a % 2**32),
        ("cvt.s64.s32 %d, %a;", lambda a, b: a),
        ("cvt.u64.u32 %d, %a;", lambda a, b: a % 2**32),
    ],
)
def test_from_32_to_64_bits(instruction, expected):
    a, b = pairs(I32)
    actual = apply(instruction, a, b, result=np.int64)
    assert actual.tolist() == [wrapped(expected(int(x), int(y)), 64, True) for x, y in zip(a, b, strict=True)]


@pytest.mark.parametrize("name", ["shl.b32", "shr.u32", "shr.s32"])
def test_shifts_beyond_the_width(name):
    a, n = (x.reshape(-1) for x in np.meshgrid(I32, np.array([0, 1, 5, 31, 32, 33, 2**31], np.uint32)))
    actual = apply(f"{name} %d, %a, %b;", a, n, result=np.int32)
    source = [int(x) if name.endswith("s32") else int(x) % 2**32 for x in a]
    exact = [x << min(int(k), 64) if "shl" in name else x >> min(int(k), 64) for x, k in zip(source, n, strict=True)]
    assert actual.tolist() == [wrapped(value, 32, True) for value in exact]


@pytest.mark.parametrize(("position", "length"), [(0, 5), (4, 14), (31, 1), (28, 8), (3, 0), (0, 32)])
@pytest.mark.parametrize("sign", "us")
def test_bit_fields(sign, position, length):
    actual = apply(f"bfe.{sign}32 %d, %a, {position}, {length};", U32, result=np.uint32)
    shifted = [(int(x) if sign == "u" else wrapped(int(x), 32, True)) >> position for x in U32]
    assert actual.tolist() == [wrapped(wrapped(x, length, sign == "s") if length else 0, 32, False) for x in shifted]
    inserted = apply(f"bfi.b32 %d, %a, %b, {position}, {length};", U32, U32[::-1].copy(), result=np.uint32)
    place = (((1 << length) - 1) << position) & 0xFFFFFFFF
    expected = [int(y) & ~place | int(x) << position & place for x, y in zip(U32, U32[::-1], strict=True)]
    assert inserted.tolist() == expected


def test_bytes_and_tables():
    a, b = np.array([0x33221180], np.uint32), np.array([0x77665544], np.uint32)
    assert apply("prmt.b32 %d, %a, %b, 0x7410;", a, b, result=np.uint32)[0] == 0x77441180
    assert apply("prmt.b32 %d, %a, %b, 0x8888;", a, b, result=np.uint32)[0] == 0xFFFFFFFF  # the sign of byte 0
    c = np.array([0x0F0F0F0F], np.uint32)
    assert apply("lop3.b32 %d, %a, %b, %c, 0xEA;", a, b, c, result=np.uint32)[0] == (a[0] & b[0]) | c[0]
    assert apply("popc.b32 %d, %a;", a, result=np.uint32)[0] == int(a[0]).bit_count()
    assert apply("clz.b32 %d, %a;", np.array([1, 0], np.uint32), result=np.uint32).tolist() == [31, 32]
    assert apply("shf.l.wrap.b32 %d, %a, %b, 8;", a, b, result=np.uint32)[0] == 0x66554433
    assert apply("brev.b32 %d, %a;", np.array([1], np.uint32), result=np.uint32)[0] == 2**31


def exact_fma(a: float, b: float, c: float, kind: type) -> float:
    """Rounded once, from the exact fraction."""
    exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    near = kind(float(exact))
    around = [np.nextafter(near, kind(-np.inf)), near, np.nextafter(near, kind(np.inf))]
    distances = [abs(Fraction(float(x)) - exact) for x in around]
    best = min(distances)
    nearest = [x for x, distance in zip(around, distances, strict=True) if distance == best]
    bits = {np.float16: np.uint16, np.float32: np.uint32, np.float64: np.uint64}[kind]
    return nearest[0] if len(nearest) == 1 else next(x for x in nearest if not x.view(bits) & 1)


@pytest.mark.parametrize("name", ["f16", "f32", "f64"])
def test_fma_rounds_once(name):
    kind = {"f16": np.float16, "f32": np.float32, "f64": np.float64}[name]
    a, b = (RANDOM.normal(size=3000).astype(kind) for _ in range(2))
    # Sums near ties: c is minus the rounded product, or far smaller or larger than it.
    c = np.where(
        RANDOM.random(3000) < 0.5, -(a * b), (a * b).astype(np.float64) * 2.0 ** RANDOM.integers(-12, 12, 3000)
    )
    c = c.astype(kind)
    actual = apply(f"fma.rn.{name} %d, %a, %b, %c;", a, b, c, result=kind)
    expected = np.array([exact_fma(*numbers, kind) for numbers in zip(a, b, c, strict=True)], kind)
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("f16", (-1940.0, -1489 * 2.0**-19, 353 * 2.0**-22)),  # float32 rounds it to the middle of two halves
        ("f32", (2.0**-17 * (1 + 2.0**-23), 1 - 2.0**-23, 128 + 2.0**-16)),  # float64 to the middle of two float32
        ("f64", (2.0**-53 * (1 + 2.0**-28), 1 - 2.0**-28, 1 + 2.0**-52)),  # and 106 bits to that of two float64
    ],
)
def test_fma_just_beside_a_tie(name, numbers):
    kind = {"f16": np.float16, "f32": np.float32, "f64": np.float64}[name]
    a, b, c = (np.array([x], kind) for x in numbers)
    assert (a[0], b[0], c[0]) == numbers
    assert apply(f"fma.rn.{name} %d, %a, %b, %c;", a, b, c, result=kind) == exact_fma(*numbers, kind)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div.rn", "div.full", "min", "max", "min.NaN", "max.NaN"])
def test_float32(name):
    a, b = pairs(F32)
    functions = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}
    with np.errstate(all="ignore"):
        if name[:3] in functions:
            expected = functions[name[:3]](a, b)
        else:
            smaller = (a < b) | ((a == b) & np.signbit(a))
            expected = np.where(smaller == name.startswith("min"), a, b)
            nan = np.isnan(a) | np.isnan(b)
            expected = np.where(nan, np.nan if "NaN" in name else np.where(np.isnan(a), b, a), expected)
    actual = apply(f"{name}.f32 %d, %a, %b;", a, b, result=np.float32)
    np.testing.assert_array_equal(actual, expected.astype(np.float32))
    ordinary = ~np.isnan(actual)
    assert (np.signbit(actual) == np.signbit(expected))[ordinary].all()


def test_flushing_and_saturating():
    a, one = np.array([1e-40, -1e-40, 0.5, 2.0, -3.0, np.nan], np.float32), np.ones(6, np.float32)
    flushed = apply("mul.ftz.f32 %d, %a, %b;", a, one, result=np.float32)
    assert flushed[:3].tolist() == [0.0, 0.0, 0.5] and np.signbit(flushed[1])
    assert apply("mul.sat.f32 %d, %a, %b;", a, one, result=np.float32)[2:].tolist() == [0.5, 1.0, 0.0, 0.0]
    clamped = apply("min.xorsign.abs.f32 %d, %a, %b;", -one, 0.5 * one, result=np.float32)
    assert clamped[0] == -0.5


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("ex2.approx.ftz", np.exp2),
        ("lg2.approx", np.log2),
        ("rcp.rn", lambda x: 1 / x),
        ("sqrt.rn", np.sqrt),
        ("rsqrt.approx", lambda x: 1 / np.sqrt(x)),
        ("tanh.approx", np.tanh),
    ],
)
def test_functions_of_float32(name, function):
    x = RANDOM.uniform(0.01, 20, 200).astype(np.float32)
    actual = apply(f"{name}.f32 %d, %a;", x, result=np.float32)
    np.testing.assert_array_equal(actual, function(x.astype(np.float64)).astype(np.float32))


@pytest.mark.parametrize("kind", ["f16x2", "bf16x2"])
@pytest.mark.parametrize("name", ["add", "mul", "fma.rn", "max"])
def test_packed_halves(kind, name):
    dtype = torch.float16 if kind == "f16x2" else torch.bfloat16
    a, b, c = (torch.randn(64, generator=torch.Generator().manual_seed(i)).to(dtype) for i in range(3))
    raw = [x.view(torch.int32).numpy() for x in (a, b, c)]
    count = 3 if name == "fma.rn" else 2
    operands = ", ".join("%" + letter for letter in "abc"[:count])
    actual = apply(f"{name}.{kind} %d, {operands};", *raw[:count], result=np.int32)
    wide = [x.double() for x in (a, b, c)]
    exact = {"add": wide[0] + wide[1], "mul": wide[0] * wide[1], "fma.rn": wide[0] * wide[1] + wide[2]}
    expected = exact.get(name, torch.maximum(wide[0], wide[1])).to(dtype)
    assert torch.equal(torch.from_numpy(actual).view(dtype), expected)
