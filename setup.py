"""What is built: decides what can be here, compiles it, and records what was built and why (docs/building.md).

Three shared objects come out, next to the Python files:
  fastgan/_ops*.so           the operators, against LibTorch's stable ABI (one binary for every torch >= 2.11);
  fastgan/_C*.so             a pybind11 module: facts about the build, host helpers;
  fastgan/lib/libfastgan.so  the C API of fastgan/include/fastgan.h, from the same objects, without torch and Python.
Switches (docs/configuration.md): FASTGAN_BUILD=auto|none|cpu|cuda, FASTGAN_CUDA_ARCHS, MAX_JOBS, CXX,
CUDA_HOME.
"""

import functools
import importlib.util
import json
import os
import platform
import re
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))  # what builds a project need not have its folder on the path

from building.objects import Job, Object, Objects, run  # noqa: E402
from building.tools import Toolkit, find_compiler, find_cuda, find_torch  # noqa: E402

PACKAGES = [
    *find_packages(include=["fastgan", "fastgan.*"]),
    "fastgan.kernels",
    *("fastgan." + name for name in find_packages(include=["bench", "bench.*"])),
]

TORCH_TARGET_VERSION = "0x020b000000000000"
DEFAULT_CUDA_ARCHS = "80;86;89;90;100;120"

CPU_SOURCES = [
    "csrc/cpu/capability.cpp",
    "csrc/cpu/affine_act.cpp",
    "csrc/cpu/affine_act_default.cpp",
    "csrc/cpu/affine_act_avx2.cpp",
    "csrc/cpu/affine_act_avx512.cpp",
    "csrc/cpu/affine_act_conv.cpp",
    "csrc/cpu/affine_act_conv_default.cpp",
    "csrc/cpu/affine_act_conv_avx2.cpp",
    "csrc/cpu/affine_act_conv_avx512.cpp",
    "csrc/cpu/affine_act_conv_gradients.cpp",
    "csrc/cpu/affine_act_conv_input_grad_default.cpp",
    "csrc/cpu/affine_act_conv_input_grad_avx2.cpp",
    "csrc/cpu/affine_act_conv_input_grad_avx512.cpp",
    "csrc/cpu/affine_act_conv_weight_grad_default.cpp",
    "csrc/cpu/affine_act_conv_weight_grad_avx2.cpp",
    "csrc/cpu/affine_act_conv_weight_grad_avx512.cpp",
    "csrc/cpu/channel_statistics.cpp",
    "csrc/cpu/channel_statistics_default.cpp",
    "csrc/cpu/channel_statistics_avx2.cpp",
    "csrc/cpu/channel_statistics_avx512.cpp",
    "csrc/cpu/frozen_generator.cpp",
    "csrc/cpu/frozen_program.cpp",
    "csrc/cpu/gan_loss.cpp",
    "csrc/cpu/gan_loss_default.cpp",
    "csrc/cpu/pack_weight_default.cpp",
    "csrc/cpu/pack_weight_avx2.cpp",
    "csrc/cpu/pack_weight_avx512.cpp",
    "csrc/cpu/scratch.cpp",
    "csrc/cpu/team.cpp",
]
# Sums of products, which FMA is for; in the default ones where the baseline has it, as on aarch64 and not on x86-64.
FUSED_SOURCES = [s for s in CPU_SOURCES if re.search(r"/affine_act_conv\w*_(default|avx2|avx512)\.cpp$", s)]
CUDA_SOURCES = [
    "csrc/cuda/affine_act_conv.cu",
    "csrc/cuda/affine_act_conv_bfloat16.cu",
    "csrc/cuda/affine_act_conv_exact.cu",
    "csrc/cuda/affine_act_conv_half.cu",
    "csrc/cuda/affine_act_conv_tf32.cu",
    "csrc/cuda/affine_act.cu",
    "csrc/cuda/gan_loss.cu",
]
TORCH_SOURCES = [
    "csrc/torch/library.cpp",
    "csrc/torch/affine_act.cpp",
    "csrc/torch/affine_act_conv.cpp",
    "csrc/torch/affine_act_conv_cuda.cpp",
    "csrc/torch/channel_statistics.cpp",
    "csrc/torch/frozen_generator.cpp",
    "csrc/torch/gan_loss.cpp",
]
HOST_SOURCES = ["csrc/host/bindings.cpp", "csrc/cpu/capability.cpp", "csrc/cpu/fma_peak.cpp", "csrc/cpu/noise.cpp"]
# The library of the C API: frozen generators, without gradients and losses. csrc/c_api/library.mk builds the same.
C_API_SOURCES = [
    "csrc/c_api/caller_pool.cpp",
    "csrc/c_api/fastgan.cpp",
    "csrc/c_api/frozen_file.cpp",
    "csrc/c_api/generator.cpp",
    "csrc/c_api/json.cpp",
    "csrc/c_api/read_file.cpp",
    "csrc/c_api/safetensors.cpp",
    "csrc/cpu/affine_act.cpp",
    "csrc/cpu/affine_act_default.cpp",
    "csrc/cpu/affine_act_avx2.cpp",
    "csrc/cpu/affine_act_avx512.cpp",
    "csrc/cpu/affine_act_conv.cpp",
    "csrc/cpu/affine_act_conv_default.cpp",
    "csrc/cpu/affine_act_conv_avx2.cpp",
    "csrc/cpu/affine_act_conv_avx512.cpp",
    "csrc/cpu/capability.cpp",
    "csrc/cpu/frozen_generator.cpp",
    "csrc/cpu/frozen_program.cpp",
    "csrc/cpu/noise.cpp",
    "csrc/cpu/pack_weight_default.cpp",
    "csrc/cpu/pack_weight_avx2.cpp",
    "csrc/cpu/pack_weight_avx512.cpp",
    "csrc/cpu/scratch.cpp",
    "csrc/cpu/team.cpp",
]
C_API = "fastgan.lib.libfastgan"
C_API_LINK = ["-Wl,-soname,libfastgan.so", "-Wl,--version-script=csrc/c_api/exports.map", "-Wl,-z,defs", "-pthread"]

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


@dataclass(frozen=True)
class Plan:
    """What will be built with which tools. `reasons` says for each part left out why."""

    cxx: tuple[str, ...]
    torch: Path | None
    torch_version: str
    toolkit: Toolkit | None
    archs: tuple[str, ...]
    reasons: dict[str, str]

    @property
    def cpu(self) -> bool:
        return "cpu" not in self.reasons

    @property
    def cuda(self) -> bool:
        return "cuda" not in self.reasons

    @property
    def cuda_version(self) -> str:
        return self.toolkit.version if self.toolkit else ""

    @property
    def host(self) -> bool:
        return self.cpu and "host" not in self.reasons


def make_plan() -> Plan:
    """What FASTGAN_BUILD asks for and this machine can give; SystemExit where it asks for more."""
    wanted = os.environ.get("FASTGAN_BUILD", "auto") or "auto"
    if wanted not in ("auto", "none", "cpu", "cuda"):
        raise SystemExit(f"FASTGAN_BUILD must be one of auto, none, cpu, cuda, got {wanted!r}")
    asked_archs = listed_archs(os.environ.get("FASTGAN_CUDA_ARCHS", ""))
    if wanted == "none":
        asked = "FASTGAN_BUILD=none asked for a pure Python install"
        return Plan((), None, "", None, (), {"cpu": asked, "cuda": asked})

    cxx, no_cxx = find_compiler()
    torch, torch_version, no_torch = find_torch()
    reasons = {}
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        reasons["host"] = "Python.h was not found (the development package of this Python has it)"
    if sys.platform != "linux":
        reasons["cpu"] = f"the native part is built on Linux only, not on {sys.platform}"
    elif no_cxx or no_torch:
        reasons["cpu"] = "; ".join(filter(None, (no_cxx, no_torch)))
    toolkit = None
    if "cpu" in reasons:
        reasons["cuda"] = reasons["cpu"]
    elif wanted == "cpu":
        reasons["cuda"] = "FASTGAN_BUILD=cpu asked for the CPU part alone"
    else:
        toolkit, no_cuda = find_cuda()
        if no_cuda:
            reasons["cuda"] = no_cuda
    archs = archs_of(toolkit, asked_archs) if toolkit else ()
    if toolkit and not archs:
        reasons["cuda"] = f"nvcc {toolkit.version} compiles for none of {DEFAULT_CUDA_ARCHS}"
    if wanted in reasons:
        raise SystemExit(f"FASTGAN_BUILD={wanted} cannot be satisfied: {reasons[wanted]}")
    return Plan(cxx, torch, torch_version, toolkit, archs, reasons)


def listed_archs(text: str) -> tuple[str, ...]:
    archs = tuple(filter(None, re.split(r"[;, ]+", text)))
    if bad := [a for a in archs if not re.fullmatch(r"\d{2,3}[af]?", a)]:
        raise SystemExit(f"FASTGAN_CUDA_ARCHS must list compute capabilities like 80;90, got {bad[0]!r}")
    return archs


def archs_of(toolkit: Toolkit, asked: tuple[str, ...]) -> tuple[str, ...]:
    """The architectures asked for, whatever nvcc will say; else those of DEFAULT_CUDA_ARCHS that it knows."""
    return asked or tuple(arch for arch in listed_archs(DEFAULT_CUDA_ARCHS) if arch in toolkit.codes)


def version_of(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()[0]


def facts(plan: Plan) -> dict:
    """What `fastgan info` tells about the build."""
    return {
        "cpu": plan.cpu,
        "cuda": plan.cuda,
        "reasons": plan.reasons,
        "compiler": version_of([*plan.cxx, "--version"]) if plan.cpu else "",
        "torch": plan.torch_version if plan.cpu else "",
        "cuda_version": plan.cuda_version,
        "cuda_archs": ";".join(plan.archs),
    }


class BuildPython(build_py):
    """Copies the Python files and writes the record of the build beside them."""

    def run(self) -> None:
        super().run()
        package = ROOT / "fastgan" if self.editable_mode else Path(self.build_lib) / "fastgan"
        suffix = sysconfig.get_config_var("EXT_SUFFIX")
        objects = (f"_ops{suffix}", PLAN.cpu), (f"_C{suffix}", PLAN.host), ("lib/libfastgan.so", PLAN.cpu)
        for name, built in objects:
            if not built:  # what an earlier build left here must not pass for this one's
                (package / name).unlink(missing_ok=True)
        (package / "_build.json").write_text(json.dumps(facts(PLAN), indent=1) + "\n")

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        return [*super().get_outputs(include_bytecode), str(Path(self.build_lib) / "fastgan/_build.json")]


class BuildNative(build_ext):
    """Compiles what changed of all shared objects, in parallel, then links each."""

    def run(self) -> None:
        self.objects = compile_all()
        super().run()

    def get_ext_filename(self, fullname: str) -> str:
        # The C API's library is no module of Python: no suffix with Python's version.
        if fullname.rpartition(".")[2] == C_API.rpartition(".")[2]:
            return fullname.replace(".", "/") + ".so"
        return super().get_ext_filename(fullname)

    def copy_extensions_to_source(self) -> None:
        (ROOT / "fastgan/lib").mkdir(exist_ok=True)
        super().copy_extensions_to_source()

    def build_extension(self, ext: Extension) -> None:
        target = Path(self.get_ext_fullpath(ext.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        objects = [str(self.objects[s].path) for s in ext.sources]
        run([*PLAN.cxx, "-shared", "-o", str(target), *objects, *ext.extra_link_args], ROOT, log)


def compile_all() -> dict[str, Object]:
    """The object of every source. They are kept in build/objects of the repository, whatever builds it."""
    cuda = CUDA_SOURCES if PLAN.cuda else []
    host = HOST_SOURCES if PLAN.host else []
    sources = dict.fromkeys([*cuda, *CPU_SOURCES, *TORCH_SOURCES, *C_API_SOURCES, *host])
    store = Objects(ROOT / "build/objects", ROOT, log)
    # nvcc takes longest: it starts first, and by itself it compiles for several architectures at a time.
    jobs = int(os.environ.get("MAX_JOBS") or os.cpu_count() or 1)
    threads = max(1, jobs // max(1, len(cuda)))
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        made = dict(zip(sources, pool.map(lambda s: store.make(job(s, threads)), sources), strict=True))
    log(f"fastgan: {sum(o.reused for o in made.values())} of {len(made)} objects were there from before")
    if cuda:
        (ROOT / "build/ptxas.log").write_text("".join(made[s].said for s in cuda))
    return made


def job(source: str, threads: int) -> Job:
    """How one source file is compiled."""
    if source.endswith(".cu"):
        last = PLAN.archs[-1]
        codes = [f"-gencode=arch=compute_{a},code=sm_{a}" for a in PLAN.archs]
        codes.append(f"-gencode=arch=compute_{last},code=compute_{last}")
        small = ["--compress-mode=size"] if int(PLAN.cuda_version.partition(".")[0]) >= 13 else []
        nvcc = (str(PLAN.toolkit.nvcc), *NVCC_FLAGS, *small, "-ccbin", PLAN.cxx[0], *codes)
        return Job(source, nvcc, tools(), ("--threads", str(threads)))
    flags = [*CXX_FLAGS]
    if source in FUSED_SOURCES:
        flags += ["-ffp-contract=fast"]
    if source in TORCH_SOURCES:
        flags += [f"-DTORCH_TARGET_VERSION={TORCH_TARGET_VERSION}", "-isystem", str(PLAN.torch / "include")]
        flags += ["-DFASTGAN_WITH_CUDA"] if PLAN.cuda else []
    if source.startswith("csrc/c_api/"):
        flags += ["-Ifastgan/include"]
    if source in HOST_SOURCES:
        flags += ["-isystem", sysconfig.get_path("include"), "-isystem", pybind11_include()]
        flags += [f'-D{name}="{value}"' for name, value in build_macros().items()]
    # The kernels' objects are also those of tests/cpu_program, which knows of no torch.
    return Job(source, (*PLAN.cxx, *flags), compiler() if source in CPU_SOURCES else tools())


@functools.cache
def compiler() -> str:
    return version_of([*PLAN.cxx, "--version"])


@functools.cache
def tools() -> str:
    """Versions whose headers a compiler does not name among the dependencies, and its own."""
    return "; ".join(
        [compiler(), f"CUDA {PLAN.cuda_version}", f"torch {PLAN.torch_version}", platform.python_version()]
    )


def build_macros() -> dict[str, str]:
    return {
        "FASTGAN_COMPILER": compiler(),
        "FASTGAN_TORCH_VERSION": PLAN.torch_version,
        "FASTGAN_CUDA_VERSION": PLAN.cuda_version,
        "FASTGAN_CUDA_ARCHS": ";".join(PLAN.archs),
    }


def pybind11_include() -> str:
    """pybind11's headers: the installed package, else the copy that torch brings."""
    if importlib.util.find_spec("pybind11") is None:
        return str(PLAN.torch / "include")
    import pybind11

    return pybind11.get_include()


def log(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def extensions(plan: Plan) -> list[Extension]:
    if not plan.cpu:
        return []
    torch_libraries = [f"-L{plan.torch / 'lib'}", "-Wl,--no-as-needed", "-lc10", "-ltorch", "-ltorch_cpu"]
    # The static CUDA runtime: the object loads where there is no CUDA at all.
    runtime = ["-lcudart_static", "-lrt", "-lpthread", "-ldl"]
    cuda = [f"-L{plan.toolkit.libraries}", *runtime] if plan.cuda else []
    # Nothing but what Python asks for is seen from outside, the templates of the C++ library neither: one that was
    # instantiated here must not be the one that another library calls.
    hidden = ["-Wl,--exclude-libs,ALL", "-Wl,--version-script=building/exports.map"]
    sources = [*CPU_SOURCES, *(CUDA_SOURCES if plan.cuda else []), *TORCH_SOURCES]
    return [
        Extension("fastgan._ops", sources, extra_link_args=[*hidden, *torch_libraries, *cuda], py_limited_api=False),
        Extension(C_API, C_API_SOURCES, extra_link_args=C_API_LINK),
        *([Extension("fastgan._C", HOST_SOURCES, extra_link_args=[*hidden, "-pthread"])] if plan.host else []),
    ]


PLAN = make_plan()
for part, reason in PLAN.reasons.items():
    log(f"fastgan: the {part} part will not be built: {reason}")

setup(
    packages=PACKAGES,
    package_dir={"fastgan": "fastgan", "fastgan.kernels": "kernels", "fastgan.bench": "bench"},
    ext_modules=extensions(PLAN),
    cmdclass={"build_py": BuildPython, "build_ext": BuildNative},
)
