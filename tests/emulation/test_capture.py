"""Launchers run as they are; their launches are recorded, specialised as Triton would, and emulated in place."""

import pytest
import torch

from .ptx import EmulationError

pytestmark = pytest.mark.emulation
DIVISIBLE = [["tt.divisibility", 16]]


def describe(rig, *args, target="sm_80", **kwargs):
    """What one call of the kernel that takes everything is specialised to."""
    with rig.capture.capture() as launches:
        rig.sample_kernels._describe_kernel[(1,)](*args, **kwargs)
    return launches[0].specialise(target)


def test_launches_are_recorded_and_nothing_else_happens(rig):
    a, b = torch.zeros(600), torch.ones(600)
    with rig.capture.capture() as launches:
        y = rig.sample_kernels.add(a, b, 2.0)
    (launch,) = launches
    assert launch.name == "_add_kernel" and launch.grid == (3, 1, 1)  # the grid was a function of BLOCK
    assert launch.arguments["y_ptr"] is y and launch.arguments["count"] == 600 and launch.arguments["BLOCK"] == 256


def test_triton_is_as_before_after_the_block(rig):
    from triton.runtime.jit import JITFunction

    before = JITFunction.run
    with pytest.raises(ZeroDivisionError), rig.capture.capture():
        assert JITFunction.run is not before
        raise ZeroDivisionError
    assert JITFunction.run is before


def test_what_becomes_constant_and_what_is_divisible(rig):
    y, x = torch.zeros(32), torch.zeros(64)
    found = describe(rig, y, x[1:33], 16, 1, 0.5, None, FLAG=True)
    assert found.signature == {
        "y_ptr": "*fp32",
        "x_ptr": "*fp32",
        "count": "i32",
        "stride": "constexpr",  # equal to 1
        "scale": "fp32",
        "optional_ptr": "constexpr",  # None
        "FLAG": "constexpr",
        "BLOCK": "constexpr",
    }
    assert found.constants == {(3,): 1, (5,): None, (6,): True, (7,): 32}
    # x begins 4 bytes into its storage; count is not to be specialised, though 16 divides it.
    assert {place for place, value in found.attributes.items() if value == DIVISIBLE} == {(0,)}
    assert found.parameters == ["y_ptr", "x_ptr", "count", "scale"]


@pytest.mark.parametrize(("count", "kind"), [(1, "i32"), (2**31 - 1, "i32"), (2**31, "i64"), (2**63, "u64")])
def test_the_width_of_integers(rig, count, kind):
    assert describe(rig, torch.zeros(32), torch.zeros(32), count, 3, 1.0, None, FLAG=False).signature["count"] == kind


@pytest.mark.parametrize(("stride", "divisible"), [(16, True), (48, True), (8, False)])
def test_divisibility_of_integers(rig, stride, divisible):
    found = describe(rig, torch.zeros(32), torch.zeros(32), 1, stride, 1.0, None, FLAG=False)
    assert (found.attributes.get((3,)) == DIVISIBLE) is divisible


def test_options_are_tritons_own(rig):
    arguments = torch.zeros(32), torch.zeros(32), 4, 2, 1.0, None
    found = describe(rig, *arguments, FLAG=False, num_warps=8, num_stages=2)
    assert (found.options.num_warps, found.options.num_stages) == (8, 2)
    with pytest.raises(KeyError, match="num_wraps"):
        describe(rig, *arguments, FLAG=False, num_wraps=8)


def test_an_amd_target_knows_that_buffers_are_small(rig):
    found = describe(rig, torch.zeros(32), torch.zeros(32), 4, 2, 1.0, None, target="gfx942", FLAG=False)
    assert ["tt.pointer_range", 32] in found.attributes[(0,)]


@pytest.mark.parametrize("flag", [True, False])
@pytest.mark.parametrize("stride", [1, 2])
def test_specialised_kernels_compute_the_same(rig, flag, stride):
    y, x, more = torch.empty(32), torch.arange(64.0), torch.arange(32.0)
    for optional in (None, more):
        with rig.capture.emulated("sm_90"):
            rig.sample_kernels._describe_kernel[(1,)](y, x, 20, stride, 0.5, optional, FLAG=flag)
        expected = torch.where(torch.arange(32) < 20, x[::stride][:32], torch.zeros(32))
        expected = expected if optional is None else expected + more
        assert torch.equal(y, 0.5 * expected if flag else expected)


def test_launches_see_what_torch_did_in_between(rig):
    with rig.capture.emulated("sm_80") as launches:
        y = rig.sample_kernels.add(torch.ones(300), torch.ones(300))
        y *= 10
        z = rig.sample_kernels.add(y, y)
    assert torch.equal(z, torch.full((300,), 40.0)) and len(launches) == 2


def test_fresh_memory_is_uninitialised_until_someone_fills_it(rig):
    kernels, ones = rig.sample_kernels, torch.ones(256)
    with rig.capture.emulated("sm_80"):
        half = torch.empty(256)
        half[:128] = 1
        with pytest.raises(EmulationError, match="never written, at byte 512"):
            kernels.add(half, ones)
        half[128:].fill_(2)
        assert kernels.add(half, ones).sum() == 128 * 2 + 128 * 3
        copied = torch.empty_like(half).copy_(half)
        assert torch.equal(kernels.add(copied, ones), half + 1)


def test_only_ptx_can_be_emulated(rig):
    with pytest.raises(ValueError, match="gfx942"), rig.capture.emulated("gfx942"):
        rig.sample_kernels.add(torch.ones(3), torch.ones(3))


def test_what_is_not_modelled_says_so(rig):
    """sm_100 multiplies with tcgen05, which the emulator does not know."""
    a = torch.ones(128, 64, dtype=torch.float16)
    with pytest.raises(EmulationError, match="unknown opcode tcgen05"), rig.capture.emulated("sm_100"):
        rig.sample_kernels.matmul(a, a.t().contiguous(), tile=(128, 128, 64))
