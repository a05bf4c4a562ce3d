"""The devices whose floors are predicted: limits from their makers' data sheets, none of them measured here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Device:
    """
    target: what kernels are compiled for. Rates are dense, with sums in float32: `half_tflops` of fp16 and bf16 on
    tensor cores, `tf32_tflops` of tf32 there, `float_tflops` of float32 elsewhere. gb_per_s: of memory. Per
    multiprocessor: registers, bytes of shared memory of which a block loses `reserved_bytes`, warps and blocks.
    source: the document that the rates are from.
    """

    name: str
    target: str
    half_tflops: float
    tf32_tflops: float
    float_tflops: float
    gb_per_s: float
    multiprocessors: int
    shared_bytes: int
    warps: int
    blocks: int
    source: str
    registers: int = 65536
    reserved_bytes: int = 1024

    def tflops(self, element: int, matrix: bool) -> float:
        """The rate for elements of so many bytes."""
        if not matrix:
            return self.float_tflops
        return self.half_tflops if element <= 2 else self.tf32_tflops


DEVICES = (
    Device("A100", "sm_80", 312, 156, 19.5, 2039, 108, 164 << 10, 64, 32, "NVIDIA A100 80GB SXM data sheet, 2021"),
    Device("H100", "sm_90", 989, 495, 67, 3350, 132, 228 << 10, 64, 32, "NVIDIA H100 SXM data sheet, 2023"),
    Device(
        "RTX 4090", "sm_89", 165, 82.6, 82.6, 1008, 128, 100 << 10, 48, 24, "NVIDIA Ada architecture whitepaper, 2022"
    ),
    Device("B200", "sm_100", 2250, 1125, 75, 8000, 148, 228 << 10, 64, 32, "NVIDIA HGX B200 data sheet, 2024"),
)


def occupancy(device: Device, registers: int, shared: int, warps: int) -> float:
    """The share of a multiprocessor's warps that blocks of one kernel fill, at most 1; 0 if no block fits.

    registers: of a thread; shared: bytes of a block; warps: of a block. Registers are given out to a warp in units of
    256 (CUDA C++ Programming Guide, compute capabilities).
    """
    of_warp = -(-registers * 32 // 256) * 256
    by_registers = device.registers // of_warp // warps if registers else device.blocks
    by_shared = device.shared_bytes // (shared + device.reserved_bytes)
    return min(device.blocks, device.warps // warps, by_registers, by_shared) * warps / device.warps
