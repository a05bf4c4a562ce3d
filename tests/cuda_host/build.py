"""Builds csrc/cuda and the CUDA half of csrc/torch for the CPU, with the C++ compiler and the headers of this folder.

    python -m tests.cuda_host.build [--sanitize]

prints the path of the library that FASTGAN_CUDA_HOST wants. Neither nvcc nor CUDA's headers are needed. What is
there already is not compiled again, unless the contents of a file that it was made from, or the command, changed.
"""

import argparse
import contextlib
import fcntl
import importlib.metadata
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.append(str(ROOT))  # `building` is not installed

from building.flags import TORCH_TARGET_VERSION  # noqa: E402
from building.objects import Job, Objects, log  # noqa: E402
from building.sources import CUDA_SOURCES, TORCH_SOURCES  # noqa: E402
from building.tools import version_of  # noqa: E402

FOLDER = ROOT / "build" / "cuda_host"
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g1")
# The baseline of the machine and no contraction: the same bits everywhere.
FLAGS = (
    "-std=c++17",
    "-O2",
    "-fPIC",
    "-fvisibility=hidden",
    "-ffp-contract=off",
    "-Wall",
    "-Wextra",
    "-Wno-unknown-pragmas",
    "-pthread",
    "-DFASTGAN_CUDA_ON_HOST",
)
CUDA_HALF = "FASTGAN_CUDA_KEY"  # what a binding with a CUDA half mentions


def compiler_missing() -> str | None:
    """None where there is a compiler, else why not."""
    name = _compiler()[0]
    return None if shutil.which(name) else f"no C++ compiler was found (tried {name})"


def operator_sources() -> list[Path]:
    bindings = [ROOT / source for source in TORCH_SOURCES]
    halves = [source for source in bindings if CUDA_HALF in source.read_text()]
    return [*_cuda_sources(), *halves]


def _cuda_sources() -> list[Path]:
    return [ROOT / source for source in CUDA_SOURCES]


def operators(sanitize: bool = False) -> Path:
    """The library of the operators, for torch."""
    torch = _torch_folder()
    flags = [
        f"-DTORCH_TARGET_VERSION={TORCH_TARGET_VERSION}",
        "-DFASTGAN_WITH_CUDA",
        "-isystem",
        str(torch / "include"),
    ]
    links = [f"-L{torch / 'lib'}", "-Wl,--no-as-needed", "-lc10", "-ltorch", "-ltorch_cpu"]
    name = "operators_sanitized" if sanitize else "operators"
    version = f"torch {importlib.metadata.version('torch')}"
    return library(name, operator_sources(), flags, links, sanitize, tools=version)


def launchers() -> Path:
    """The launchers of csrc/cuda alone, their C functions visible: no torch."""
    return library("launchers", _cuda_sources(), ["-fvisibility=default", "-fno-gnu-unique"])


def sanitizer_environment() -> dict[str, str]:
    """For a process that loads a library with sanitizers into a Python without them."""

    def path_of(library: str) -> str:
        done = subprocess.run([*_compiler(), f"-print-file-name={library}"], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    # libstdc++ is loaded with the sanitizer, which otherwise does not find what Python alone does not link.
    preload = " ".join(map(path_of, ("libasan.so", "libstdc++.so")))
    return {
        **os.environ,
        "LD_PRELOAD": preload,
        "ASAN_OPTIONS": "detect_leaks=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }


def library(
    name: str,
    sources: Sequence[Path],
    flags: Sequence[str] = (),
    links: Sequence[str] = (),
    sanitize: bool = False,
    csrc: Path = ROOT / "csrc",
    shim: Path = HERE,
    folder: Path = FOLDER,
    tools: str = "",
) -> Path:
    """<name>.so in `folder` from these sources and the shim's. RuntimeError with the compiler's words.

    csrc, shim: where headers lie, and the shim's sources. What comes from outside the repository stays in `folder`.
    tools: versions of what else the sources include.
    """
    common = [*_compiler(), *FLAGS, *(SANITIZERS if sanitize else ())]
    jobs = [_job(each, [*common, *_headers(ROOT / "csrc", shim)]) for each in sorted(shim.glob("*.cpp"))]
    jobs += [_job(each, [*common, *_headers(csrc, shim), *flags], tools) for each in sources]
    target = folder / f"{name}.so"
    with _alone():
        ours, others = (Objects(each / "objects", ROOT, log) for each in (FOLDER, folder))
        stores = [others if Path(job.source).is_absolute() else ours for job in jobs]
        with ThreadPoolExecutor(max_workers=int(os.environ.get("MAX_JOBS") or os.cpu_count() or 1)) as pool:
            objects = list(pool.map(Objects.make, stores, jobs))
        others.link(target, [*common, "-shared"], objects, links)
    return target


def _compiler() -> list[str]:
    return shlex.split(os.environ.get("CXX") or "c++")


def _job(source: Path, command: Sequence[str], tools: str = "") -> Job:
    versions = "; ".join(filter(None, (version_of(tuple(_compiler())), tools)))
    return Job(_named(source), (*command, "-x", "c++"), versions)


def _headers(*folders: Path) -> list[str]:
    return [f"-I{_named(folder)}" for folder in folders]


def _named(path: Path) -> str:
    """Relative to the repository where it lies in there."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One build at a time: several test processes may want the same library."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _torch_folder() -> Path:
    return Path(importlib.util.find_spec("torch").origin).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sanitize", action="store_true", help="with AddressSanitizer and UBSan")
    sys.stdout.write(f"{operators(parser.parse_args().sanitize)}\n")


if __name__ == "__main__":
    main()
