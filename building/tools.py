"""Finds what compiles the native part: a C++17 compiler, a torch with headers, a CUDA toolkit. Each, or why not."""

import functools
import importlib.metadata
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TORCH_MINIMUM = (2, 11)
USUAL_FOLDERS = Path("/usr/local")  # of cuda and cuda-*


@dataclass(frozen=True)
class Toolkit:
    """A whole CUDA toolkit: `codes` are the architectures that its nvcc knows, `libraries` the folder of cudart."""

    nvcc: Path
    ptxas: Path
    top: Path
    version: str
    codes: tuple[str, ...]
    libraries: Path


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


@functools.cache
def version_of(compiler: tuple[str, ...]) -> str:
    """The first line of what a compiler says about its version."""
    return subprocess.run([*compiler, "--version"], capture_output=True, text=True).stdout.splitlines()[0]


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


def find_cuda() -> tuple[Toolkit | None, str]:
    """The first whole CUDA toolkit of `nvcc_candidates`, or None and why there is none. A GPU need not be visible.

    CUDA_HOME (or CUDA_PATH) names the only one looked at.
    """
    named = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH")
    broken = ""
    for nvcc in [Path(named) / "bin/nvcc"] if named else nvcc_candidates():
        if nvcc.is_file():
            toolkit, reason = examine(nvcc)
            if toolkit:
                return toolkit, ""
            broken = broken or reason
    looked_in = named or "PATH, /usr/local/cuda*, and nvidia/cu* beside the installed packages"
    return None, broken or f"no nvcc was found (looked in {looked_in})"


def nvcc_candidates() -> Iterator[Path]:
    """Where an nvcc may be, best first: on PATH, in the usual folders, in NVIDIA's packages from PyPI."""
    if on_path := shutil.which("nvcc"):
        yield Path(on_path)
    yield USUAL_FOLDERS / "cuda/bin/nvcc"
    yield from sorted(USUAL_FOLDERS.glob("cuda-*/bin/nvcc"), reverse=True)
    for folder in sys.path:
        yield from sorted(Path(folder).glob("nvidia/cu[0-9]*/bin/nvcc"), reverse=True)


def examine(nvcc: Path) -> tuple[Toolkit | None, str]:
    """The toolkit around an nvcc, or None and what it lacks.

    nvcc itself is asked where it has its parts: the one on PATH may be a link, or a script that starts another.
    """
    nvcc = nvcc.resolve()  # it looks beside the path by which it was called
    try:
        dry = _said(nvcc, "--dryrun", "-c", "-x", "cu", os.devnull)
        version = re.search(r"release (\d+\.\d+)", _said(nvcc, "--version"))
        codes = re.findall(r"^sm_(\w+)$", _said(nvcc, "--list-gpu-code"), re.MULTILINE)
    except OSError as error:
        return None, f"{nvcc} does not run: {error}"
    told = dict(re.findall(r"^#\$ (\w+)=(.*)$", dry, re.MULTILINE))
    if version is None or "TOP" not in told:
        return None, f"{nvcc} does not run: {(dry.strip().splitlines() or ['it says nothing'])[0]}"
    top = Path(os.path.normpath(told["TOP"]))
    headers = [*_folders(told, "INCLUDES"), *_folders(told, "SYSTEM_INCLUDES"), top / "include", Path("/usr/include")]
    libraries = [*_folders(told, "LIBRARIES"), top / "lib64", top / "lib", Path("/usr/lib/x86_64-linux-gnu")]
    libraries = [folder for folder in libraries if folder.name != "stubs"]
    parts = {  # what to look for, and where
        "cicc": [Path(told.get("CICC_PATH", top / "nvvm/bin"))],
        "ptxas": [Path(told.get("_HERE_", nvcc.parent)), top / "bin"],
        "cuda_runtime.h": headers,
        "crt/host_config.h": headers,
        "nv/target": headers,
        "libcudart_static.a": libraries,
    }
    found = {}
    for name, folders in parts.items():
        found[name] = next((folder / name for folder in folders if (folder / name).is_file()), None)
        if found[name] is None:
            return None, f"{nvcc} is there, but not {name} of its toolkit in {top}"
    libraries = found["libcudart_static.a"].parent
    return Toolkit(nvcc, found["ptxas"], top, version.group(1), tuple(codes), libraries), ""


def _folders(told: dict[str, str], name: str) -> list[Path]:
    """The folders in a line of nvcc's such as INCLUDES="-I/usr/local/cuda/include"."""
    words = (word.removeprefix("-I").removeprefix("-L") for word in shlex.split(told.get(name, "")))
    return [Path(os.path.normpath(word)) for word in words if word and word != "-isystem"]


def _said(*command: str | Path) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    return done.stdout + done.stderr
