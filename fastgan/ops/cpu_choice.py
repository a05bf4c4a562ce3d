"""What `auto` takes on a CPU: by capability, and for a call by its shape. docs/bench.md has the numbers."""

from fastgan import backends

# Our convolutions pack their weights once a call. Measured with 2 threads and AVX-512 on 512 -> 256 channels at 4x4
# and 256 -> 512 at 8x8: 0.6 to 0.8 of ATen's speed where a weight is used 16 times, 0.8 at 32, 1.1 to 1.6 at 64.
LEAST_USES = 64
# Of maps of one pixel ATen makes less: 100 -> 512 channels, 1x1 to 4x4, is 1.3 times as fast as ATen at 8 uses.
LEAST_USES_OF_ONE_PIXEL = 8


def measured_fastest(capability: str) -> str:
    """Our convolutions where vectors are wide, else ATen's between our passes. ("" without the native part.)"""
    return "aten" if capability in ("", "default") else "cpu"


def for_call(backend: str, images: int, pixels: int) -> str:
    """`backend`, or aten where `auto` took ours for a convolution that uses each weight too seldom.

    pixels: of the smaller one of its two maps. A backend that was forced stays.
    """
    if backend != "cpu" or backends.current() != "auto":
        return backend
    least = LEAST_USES_OF_ONE_PIXEL if pixels == 1 else LEAST_USES
    return "cpu" if images * pixels >= least else "aten"
