"""How each source of csrc is compiled: its command, and the versions that decide what comes out."""

import importlib.util
import platform
import sysconfig

from building.flags import NVCC_FLAGS, TORCH_TARGET_VERSION, cxx_flags
from building.objects import Job
from building.plan import Plan
from building.sources import CPU_SOURCES, HOST_SOURCES, TORCH_SOURCES
from building.tools import version_of


def job(plan: Plan, source: str, threads: int) -> Job:
    """How one source is compiled, by nvcc with so many threads."""
    if source.endswith(".cu"):
        return Job(source, nvcc_command(plan), tools(plan), ("--threads", str(threads)))
    flags = cxx_flags(source)
    if source in TORCH_SOURCES:
        flags += [f"-DTORCH_TARGET_VERSION={TORCH_TARGET_VERSION}", "-isystem", str(plan.torch / "include")]
        flags += ["-DFASTGAN_WITH_CUDA"] if plan.cuda else []
    if source in HOST_SOURCES:
        flags += ["-isystem", sysconfig.get_path("include"), "-isystem", pybind11_include(plan)]
        flags += [f'-D{name}="{value}"' for name, value in build_macros(plan).items()]
    # The kernels' objects are also those of tests/cpu_program, which knows of no torch.
    return Job(source, (*plan.cxx, *flags), version_of(plan.cxx) if source in CPU_SOURCES else tools(plan))


def nvcc_command(plan: Plan) -> tuple[str, ...]:
    last = plan.archs[-1]
    codes = [f"-gencode=arch=compute_{a},code=sm_{a}" for a in plan.archs]
    codes.append(f"-gencode=arch=compute_{last},code=compute_{last}")
    small = ["--compress-mode=size"] if int(plan.cuda_version.partition(".")[0]) >= 13 else []
    return (str(plan.toolkit.nvcc), *NVCC_FLAGS, *small, "-ccbin", host_compiler(plan.cxx), *codes)


def host_compiler(cxx: tuple[str, ...]) -> str:
    """The compiler itself of a command, the one word that nvcc takes: what a launcher such as ccache starts.

    That is the last word before the first option.
    """
    options = (place for place, word in enumerate(cxx) if word.startswith("-"))
    return cxx[next(options, len(cxx)) - 1]


def tools(plan: Plan) -> str:
    """Versions whose headers a compiler does not name among the dependencies, and its own."""
    versions = [version_of(plan.cxx), f"CUDA {plan.cuda_version}", f"torch {plan.torch_version}"]
    return "; ".join([*versions, platform.python_version()])


def build_macros(plan: Plan) -> dict[str, str]:
    return {
        "FASTGAN_COMPILER": version_of(plan.cxx),
        "FASTGAN_TORCH_VERSION": plan.torch_version,
        "FASTGAN_CUDA_VERSION": plan.cuda_version,
        "FASTGAN_CUDA_ARCHS": ";".join(plan.archs),
    }


def pybind11_include(plan: Plan) -> str:
    """pybind11's headers: the installed package, else the copy that torch brings."""
    if importlib.util.find_spec("pybind11") is None:
        return str(plan.torch / "include")
    import pybind11

    return pybind11.get_include()
