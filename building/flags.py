"""The flags of compilers and linkers that no machine changes. Needs the standard library alone."""

from building.sources import FUSED_SOURCES

TORCH_TARGET_VERSION = "0x020b000000000000"

# No -march=native: the binary must run on any x86-64; avx2_begin.h and avx512_begin.h open what is compiled for
# more. No contraction: same bits from every compiler. errno and floating-point traps are nobody's business here,
# and respecting them keeps loops from being vectorised.
CXX_FLAGS = [
    "-std=c++17",
    "-O3",
    "-fPIC",
    "-fvisibility=hidden",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-Wall",
    "-Wextra",
    "-Icsrc",
]
NVCC_FLAGS = [
    "-std=c++17",
    "-O3",
    "-lineinfo",
    "-Xptxas",
    "-v",
    "-Xcompiler",
    "-fPIC,-fvisibility=hidden",
    "-Icsrc",
]
C_API_LINK = ["-Wl,-soname,libfastgan.so", "-Wl,--version-script=csrc/c_api/exports.map", "-Wl,-z,defs", "-pthread"]
# Nothing but what Python asks for is seen from outside, the templates of the C++ library neither: one that was
# instantiated here must not be the one that another library calls.
PYTHON_LINK = ["-Wl,--exclude-libs,ALL", "-Wl,--version-script=building/exports.map"]


def cxx_flags(source: str) -> list[str]:
    """What a C++ source of csrc, or of a test program, is compiled with."""
    fused = ["-ffp-contract=fast"] if source in FUSED_SOURCES else []
    header = ["-Ifastgan/include"] if "c_api" in source else []
    return [*CXX_FLAGS, *fused, *header]
