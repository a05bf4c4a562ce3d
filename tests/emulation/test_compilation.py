"""Kernels are compiled once for what they depend on, and their machine code tells what they need."""

import pytest
import torch

from .ptx import EmulationError
from .ptx.parser import parse

pytestmark = pytest.mark.emulation


@pytest.fixture
def fresh_cache(rig, tmp_path, monkeypatch):
    monkeypatch.setenv("FASTGAN_EMULATION_CACHE", str(tmp_path))
    return tmp_path


def compiled(rig, target: str, call):
    with rig.capture.capture() as launches:
        call()
    return launches[0].compile(target)


def test_a_kernel_is_compiled_once(rig, fresh_cache):
    def compilations(call, target="sm_80"):
        before = rig.compilation.compilations
        compiled(rig, target, call)
        return rig.compilation.compilations - before

    kernels, a = rig.sample_kernels, torch.ones(1000)
    assert compilations(lambda: kernels.add(a, a)) == 1
    assert compilations(lambda: kernels.add(a, a, 3.0)) == 0  # another number of the same kind
    assert compilations(lambda: kernels.add(a[1:], a[1:])) == 1  # neither pointers nor the count divide by 16
    assert compilations(lambda: kernels.add(a.half(), a.half())) == 1
    assert compilations(lambda: kernels.add(a, a), "sm_90") == 1
    assert compilations(lambda: kernels.add(a, a)) == 0
    assert len(list(fresh_cache.iterdir())) == 4


def test_the_key_knows_the_source_of_what_is_called(rig):
    a = torch.ones(8)
    with rig.capture.capture() as launches:
        rig.sample_kernels.add(a, a)
    kernel, called = rig.sample_kernels._add_kernel, rig.sample_kernels._scale
    before, source = launches[0].specialise("sm_80").key, called.src
    try:
        kernel.hash = None
        called._unsafe_update_src(source.replace("x * factor", "x * factor + 1"))
        assert launches[0].specialise("sm_80").key != before
    finally:
        called._unsafe_update_src(source)
        kernel.hash = None
    assert launches[0].specialise("sm_80").key == before


def test_a_cached_kernel_is_the_kernel(rig, fresh_cache):
    a = torch.ones(64)
    first, second = (compiled(rig, "sm_90", lambda: rig.sample_kernels.moments(a.expand(64, 64))) for _ in range(2))
    assert first == second
    assert parse(first.text).target == "sm_90a" and first.binary[:4] == b"\x7fELF"
    assert first.threads == 128 and first.shared_bytes > 0 and first.metadata["name"] == "_moments_kernel"


def test_an_unknown_target(rig):
    with pytest.raises(ValueError, match="target must be one of sm_80, .*, got 'sm_12'"):
        rig.compilation.gpu_target("sm_12")


def test_an_interpreted_kernel_is_refused(rig):
    with pytest.raises(TypeError, match="TRITON_INTERPRET"):
        rig.compilation.specialise(lambda: None, "sm_80", (), {})


def matmul(rig, precision: str, tile=(64, 64, 32)):
    dtype = torch.float16 if precision == "float16" else torch.float32
    a = torch.ones(128, 128, dtype=dtype)
    return lambda: rig.sample_kernels.matmul(a, a, "ieee" if precision == "float16" else precision, tile)


@pytest.mark.parametrize(
    ("target", "precision", "tensor_opcode", "load"),
    [
        ("sm_80", "float16", "HMMA.16816.F32", "LDGSTS.E.BYPASS.128"),
        ("sm_80", "tf32", "HMMA.1688.F32.TF32", "LDGSTS.E.BYPASS.128"),
        ("sm_90", "float16", "HGMMA.64x", "LDGSTS.E.BYPASS.128"),
        pytest.param("sm_80", "ieee", None, "LDGSTS.E.BYPASS.128", marks=pytest.mark.emulation_full),
        ("gfx942", "float16", "v_mfma_f32", "buffer_load_dwordx4"),
    ],
)
def test_resources_of_a_matmul(rig, target, precision, tensor_opcode, load):
    found = rig.resources.resources(compiled(rig, target, matmul(rig, precision)))
    assert 32 <= found.registers <= 255 and (found.spills, found.stack) == (0, 0)
    assert found.uses_tensor_cores == (tensor_opcode is not None)
    assert tensor_opcode is None or any(name.startswith(tensor_opcode) for name in found.tensor_opcodes)
    assert found.global_accesses[load] > 0 and found.shared > 0


@pytest.mark.emulation_full
@pytest.mark.parametrize("target", ["sm_86", "sm_89", "sm_100", "sm_120"])
def test_every_other_target_uses_tensor_cores(rig, target):
    found = rig.resources.resources(compiled(rig, target, matmul(rig, "float16", (128, 128, 32))))
    assert found.uses_tensor_cores, sorted(found.opcodes)


def test_spills_are_seen(rig):
    """256 x 128 float32 accumulators on 128 threads are 256 registers each, of 255."""
    found = rig.resources.resources(compiled(rig, "sm_80", matmul(rig, "float16", (256, 128, 32))))
    assert found.spills > 0 and found.stack > 0 and found.registers == 255


def test_a_launch_that_no_device_has_the_memory_for(rig):
    a = torch.ones(128, 512, dtype=torch.float16)
    message = "shared memory, sm_86 has 101376"
    with pytest.raises(EmulationError, match=message), rig.capture.emulated("sm_86"):
        rig.sample_kernels.matmul(a, a.t().contiguous(), tile=(128, 128, 128), stages=3)
