"""The commands of setuptools that build the native part (docs/building.md). Switch: MAX_JOBS.

Three shared objects come out, next to the Python files:
  fastgan/_ops*.so           the operators, against LibTorch's stable ABI (one binary for every torch >= 2.11);
  fastgan/_C*.so             a pybind11 module: facts about the build, host helpers;
  fastgan/lib/libfastgan.so  the C API of fastgan/include/fastgan.h, from the same objects, without torch and Python.
"""

import json
import os
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

from building.flags import C_API_LINK, PYTHON_LINK
from building.jobs import job
from building.objects import BuildError, Object, Objects, log, run
from building.plan import Plan, facts, make_plan
from building.sources import C_API_SOURCES, CPU_SOURCES, CUDA_SOURCES, HOST_SOURCES, TORCH_SOURCES

ROOT = Path(__file__).resolve().parents[1]
C_API = "fastgan.lib.libfastgan"
WAY_OUT = "set FASTGAN_BUILD=none for a pure Python install, or FASTGAN_BUILD=cpu to leave CUDA out"


def extensions(plan: Plan) -> list[Extension]:
    if not plan.cpu:
        return []
    torch_libraries = [f"-L{plan.torch / 'lib'}", "-Wl,--no-as-needed", "-lc10", "-ltorch", "-ltorch_cpu"]
    # The static CUDA runtime: the object loads where there is no CUDA at all.
    runtime = ["-lcudart_static", "-lrt", "-lpthread", "-ldl"]
    cuda = [f"-L{plan.toolkit.libraries}", *runtime] if plan.cuda else []
    sources = [*CPU_SOURCES, *(CUDA_SOURCES if plan.cuda else []), *TORCH_SOURCES]
    return [
        Extension("fastgan._ops", sources, extra_link_args=[*PYTHON_LINK, *torch_libraries, *cuda]),
        Extension(C_API, C_API_SOURCES, extra_link_args=C_API_LINK),
        *([Extension("fastgan._C", HOST_SOURCES, extra_link_args=[*PYTHON_LINK, "-pthread"])] if plan.host else []),
    ]


class BuildPython(build_py):
    """Copies the Python files and writes the record of the build beside them."""

    def run(self) -> None:
        super().run()
        plan = make_plan()
        package = ROOT / "fastgan" if self.editable_mode else Path(self.build_lib) / "fastgan"
        suffix = sysconfig.get_config_var("EXT_SUFFIX")
        objects = (f"_ops{suffix}", plan.cpu), (f"_C{suffix}", plan.host), ("lib/libfastgan.so", plan.cpu)
        for name, built in objects:
            if not built:  # what an earlier build left here must not pass for this one's
                (package / name).unlink(missing_ok=True)
        (package / "_build.json").write_text(json.dumps(facts(plan), indent=1) + "\n")

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        return [*super().get_outputs(include_bytecode), str(Path(self.build_lib) / "fastgan/_build.json")]


class BuildNative(build_ext):
    """Compiles what changed of all shared objects, in parallel, then links each."""

    def run(self) -> None:
        self.plan = make_plan()
        try:
            self.objects = compile_all(self.plan)
            super().run()
        except BuildError as error:
            raise SystemExit(f"{error}{WAY_OUT}") from None

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
        run([*self.plan.cxx, "-shared", "-o", str(target), *objects, *ext.extra_link_args], ROOT, log)


def compile_all(plan: Plan) -> dict[str, Object]:
    """The object of every source. They are kept in build/objects of the repository, whatever builds it."""
    cuda = CUDA_SOURCES if plan.cuda else []
    host = HOST_SOURCES if plan.host else []
    sources = dict.fromkeys([*cuda, *CPU_SOURCES, *TORCH_SOURCES, *C_API_SOURCES, *host])
    store = Objects(ROOT / "build/objects", ROOT, log)
    # nvcc takes longest: it starts first, and by itself it compiles for several architectures at a time.
    jobs = int(os.environ.get("MAX_JOBS") or os.cpu_count() or 1)
    threads = max(1, jobs // max(1, len(cuda)))
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        made = dict(zip(sources, pool.map(lambda s: store.make(job(plan, s, threads)), sources), strict=True))
    log(f"fastgan: {sum(o.reused for o in made.values())} of {len(made)} objects were there from before")
    if cuda:
        (ROOT / "build/ptxas.log").write_text("".join(made[s].said for s in cuda))
    return made
