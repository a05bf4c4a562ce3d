"""The only build logic: decides what can be built here, compiles it, and records what was built and why.

Two shared objects come out, next to the Python files:
  fastgan/_ops*.so  the operators, against LibTorch's stable ABI (one binary for every torch >= 2.11);
  fastgan/_C*.so    a pybind11 module: facts about the build, host helpers.
Switches (docs/configuration.md): FASTGAN_BUILD=auto|none|cpu|cuda, FASTGAN_CUDA_ARCHS, MAX_JOBS, CXX,
CUDA_HOME.
"""

import importlib.metadata
import importlib.util
import json
import os
import re
import shlex
import shutil
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
PACKAGES = [
    *find_packages(include=["fastgan", "fastgan.*"]),
    "fastgan.kernels",
    *("fastgan." + name for name in find_packages(include=["bench", "bench.*"])),
]

TORCH_MINIMUM = (2, 11)
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
    cuda_home: Path | None
    cuda_version: str
    archs: tuple[str, ...]
    reasons: dict[str, str]

    @property
    def cpu(self) -> bool:
        return "cpu" not in self.reasons

    @property
    def cuda(self) -> bool:
        return "cuda" not in self.reasons

    @property
    def host(self) -> bool:
        return self.cpu and "host" not in self.reasons


def find_compiler() -> tuple[tuple[str, ...], str]:
    """The command of a C++17 compiler that works, or () and why there is none."""
    named = os.environ.get("CXX")
    candidates = [shlex.split(named)] if named else [["c++"], ["g++"], ["clang++"]]
    for command in candidates:
        if shutil.which(command[0]) is None:
            continue
        probe = [*command, "-std=c++17", "-fsyntax-only", "-x", "c++", "-"]
        done = subprocess.run(probe, input="#include <vector>\n", capture_output=True, text=True)
        if done.returncode == 0:
            return tuple(command), ""
    tried = named or "c++, g++, clang++"
    return (), f"no working C++17 compiler was found (tried {tried})"


def find_torch() -> tuple[Path | None, str, str]:
    """Folder and version of a torch that can be built against, or None, '' and why there is none."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None, "", "torch was not visible to the build (build isolation hides an installed one)"
    version = importlib.metadata.version("torch")
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is None or tuple(map(int, numbers.groups())) < TORCH_MINIMUM:
        return None, "", f"torch {version} is older than {'.'.join(map(str, TORCH_MINIMUM))}"
    folder = Path(spec.origin).parent
    if not (folder / "include/torch/csrc/stable/library.h").is_file():
        return None, "", f"torch {version} came without its C++ headers"
    return folder, version, ""


def find_cuda() -> tuple[Path | None, str, str]:
    """CUDA_HOME and the version of its nvcc, or None, '' and why there is none. A GPU need not be visible."""
    named = os.environ.get("CUDA_HOME")
    homes = [Path(named)] if named else [Path("/usr/local/cuda"), *sorted(Path("/usr/local").glob("cuda-*"))[::-1]]
    for home in homes:
        if (home / "bin/nvcc").is_file() and (home / "include/cuda_runtime.h").is_file():
            try:
                done = subprocess.run([home / "bin/nvcc", "--version"], capture_output=True, text=True)
            except OSError as error:
                return None, "", f"{home}/bin/nvcc does not run: {error}"
            found = re.search(r"release (\d+\.\d+)", done.stdout)
            if found:
                return home, found.group(1), ""
    return None, "", f"no nvcc was found (looked in {named or '/usr/local/cuda and /usr/local/cuda-*'})"


def make_plan() -> Plan:
    """What FASTGAN_BUILD asks for and this machine can give; SystemExit where it asks for more."""
    wanted = os.environ.get("FASTGAN_BUILD", "auto") or "auto"
    if wanted not in ("auto", "none", "cpu", "cuda"):
        raise SystemExit(f"FASTGAN_BUILD must be one of auto, none, cpu, cuda, got {wanted!r}")
    archs = tuple(a for a in re.split(r"[;, ]+", os.environ.get("FASTGAN_CUDA_ARCHS", "") or DEFAULT_CUDA_ARCHS) if a)
    if bad := [a for a in archs if not re.fullmatch(r"\d{2,3}[af]?", a)]:
        raise SystemExit(f"FASTGAN_CUDA_ARCHS must list compute capabilities like 80;90, got {bad[0]!r}")
    if wanted == "none":
        asked = "FASTGAN_BUILD=none asked for a pure Python install"
        return Plan((), None, "", None, "", (), {"cpu": asked, "cuda": asked})

    cxx, no_cxx = find_compiler()
    torch, torch_version, no_torch = find_torch()
    reasons = {}
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        reasons["host"] = "Python.h was not found (the development package of this Python has it)"
    if sys.platform != "linux":
        reasons["cpu"] = f"the native part is built on Linux only, not on {sys.platform}"
    elif no_cxx or no_torch:
        reasons["cpu"] = "; ".join(filter(None, (no_cxx, no_torch)))
    home, cuda_version = None, ""
    if "cpu" in reasons:
        reasons["cuda"] = reasons["cpu"]
    elif wanted == "cpu":
        reasons["cuda"] = "FASTGAN_BUILD=cpu asked for the CPU part alone"
    else:
        home, cuda_version, no_cuda = find_cuda()
        if no_cuda:
            reasons["cuda"] = no_cuda
    if wanted in reasons:
        raise SystemExit(f"FASTGAN_BUILD={wanted} cannot be satisfied: {reasons[wanted]}")
    return Plan(cxx, torch, torch_version, home, cuda_version, archs if home else (), reasons)


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
        for stem, built in (("_ops", PLAN.cpu), ("_C", PLAN.host)):
            if not built:  # what an earlier build left here must not pass for this one's
                (package / (stem + sysconfig.get_config_var("EXT_SUFFIX"))).unlink(missing_ok=True)
        (package / "_build.json").write_text(json.dumps(facts(PLAN), indent=1) + "\n")

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        return [*super().get_outputs(include_bytecode), str(Path(self.build_lib) / "fastgan/_build.json")]


class BuildNative(build_ext):
    """Compiles every source of both shared objects in parallel, then links the two."""

    def run(self) -> None:
        self.objects = self.compile_all()
        super().run()

    def compile_all(self) -> dict[str, Path]:
        folder = Path(self.build_temp).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        sources = dict.fromkeys(
            [
                *CPU_SOURCES,
                *(CUDA_SOURCES if PLAN.cuda else []),
                *TORCH_SOURCES,
                *(HOST_SOURCES if PLAN.host else []),
            ]
        )
        objects = {s: folder / (s.replace("/", "_") + ".o") for s in sources}
        jobs = int(os.environ.get("MAX_JOBS") or os.cpu_count() or 1)
        # nvcc takes longest: start it first.
        order = sorted(sources, key=lambda s: not s.endswith(".cu"))
        with ThreadPoolExecutor(max_workers=jobs) as pool:
            logs = dict(zip(order, pool.map(lambda s: compile_source(s, objects[s], jobs), order), strict=True))
        (ROOT / "build").mkdir(exist_ok=True)
        (ROOT / "build/ptxas.log").write_text("".join(logs[s] for s in order if s.endswith(".cu")))
        return objects

    def build_extension(self, ext: Extension) -> None:
        target = Path(self.get_ext_fullpath(ext.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        objects = [str(self.objects[s]) for s in ext.sources]
        run([*PLAN.cxx, "-shared", "-o", str(target), *objects, *ext.extra_link_args])


def compile_source(source: str, target: Path, jobs: int) -> str:
    """Compile one source file; returns what the compiler said."""
    if source.endswith(".cu"):
        last = PLAN.archs[-1]
        codes = [f"-gencode=arch=compute_{a},code=sm_{a}" for a in PLAN.archs]
        codes.append(f"-gencode=arch=compute_{last},code=compute_{last}")
        nvcc = [str(PLAN.cuda_home / "bin/nvcc"), *NVCC_FLAGS, "-ccbin", PLAN.cxx[0], "--threads", str(jobs)]
        return run([*nvcc, *codes, "-c", source, "-o", str(target)])
    flags = [*CXX_FLAGS]
    if source in FUSED_SOURCES:
        flags += ["-ffp-contract=fast"]
    if source in TORCH_SOURCES:
        flags += [f"-DTORCH_TARGET_VERSION={TORCH_TARGET_VERSION}", "-isystem", str(PLAN.torch / "include")]
        flags += ["-DFASTGAN_WITH_CUDA"] if PLAN.cuda else []
    if source in HOST_SOURCES:
        flags += ["-isystem", sysconfig.get_path("include"), "-isystem", pybind11_include()]
        flags += [f'-D{name}="{value}"' for name, value in build_macros().items()]
    return run([*PLAN.cxx, *flags, "-c", source, "-o", str(target)])


def build_macros() -> dict[str, str]:
    return {
        "FASTGAN_COMPILER": version_of([*PLAN.cxx, "--version"]),
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


def run(command: list[str]) -> str:
    """Run a compiler in the source folder; SystemExit with its words where it fails."""
    log(shlex.join(command))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    said = done.stdout + done.stderr
    if "warning" in said:
        log(said)
    if done.returncode != 0:
        way_out = "set FASTGAN_BUILD=none for a pure Python install, or FASTGAN_BUILD=cpu to leave CUDA out"
        raise SystemExit(f"{said}\n{command[0]} failed; {way_out}")
    return said


def extensions(plan: Plan) -> list[Extension]:
    if not plan.cpu:
        return []
    torch_libraries = [f"-L{plan.torch / 'lib'}", "-Wl,--no-as-needed", "-lc10", "-ltorch", "-ltorch_cpu"]
    # The static CUDA runtime, its symbols hidden: the object loads where there is no CUDA at all.
    runtime = ["-lcudart_static", "-lrt", "-lpthread", "-ldl"]
    cuda = [f"-L{plan.cuda_home}/lib64", f"-L{plan.cuda_home}/lib", *runtime] if plan.cuda else []
    hidden = ["-Wl,--exclude-libs,ALL"]
    sources = [*CPU_SOURCES, *(CUDA_SOURCES if plan.cuda else []), *TORCH_SOURCES]
    return [
        Extension("fastgan._ops", sources, extra_link_args=[*hidden, *torch_libraries, *cuda], py_limited_api=False),
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
