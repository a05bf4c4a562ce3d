"""Compiles CUDA sources to PTX and machine code for one target, without a GPU and at most once.

Results are kept by content: of the source csrc/cuda/<name>.cu, of every header of this csrc's common and cuda, and of
the flags and nvcc's version.
"""

import hashlib
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from building.ptxas import Usage, usages
from building.tools import Toolkit, find_cuda

_ROOT = Path(__file__).resolve().parents[2]
_FLAGS = ("-std=c++17", "-O3", "-lineinfo")
_HEADERS = ("common/*.h", "cuda/*.h", "cuda/*.cuh")


@dataclass(frozen=True)
class Compiled:
    """A source for one target. kernels: of each entry of the PTX, the name as C++ has it; usage: by entry."""

    target: str
    ptx: str
    kernels: dict[str, str]
    usage: dict[str, Usage]

    def entry(self, kernel: str) -> str | None:
        """The entry of the kernel with this name."""
        return next((entry for entry, name in self.kernels.items() if name == kernel), None)


@cache
def toolkit() -> Toolkit | None:
    return find_cuda()[0]


def find_nvcc() -> Path | None:
    return toolkit().nvcc if toolkit() else None


@cache
def compile_source(source: Path, target: str) -> Compiled:
    """RuntimeError with nvcc's words where it does not compile."""
    tools = toolkit()
    csrc = source.resolve().parents[1]
    flags = [*_FLAGS, f"-arch={target}"]
    parts = [" ".join(flags), _run([str(tools.nvcc), "--version"])]
    files = [source, *sorted(path for pattern in _HEADERS for path in csrc.glob(pattern))]
    parts += [path.read_text() for path in files]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    folder = _cache_folder() / key
    if not folder.is_dir():
        _compile_into(folder, [str(tools.nvcc), *flags, f"-I{csrc}"], tools.ptxas, source, target)
    ptx, log = (folder / "ptx").read_text(), (folder / "log").read_text()
    entries = re.findall(r"\.entry\s+([\w$]+)", ptx)
    usage = {each.kernel: each for each in usages(log)}
    return Compiled(target, ptx, dict(zip(entries, demangled(entries), strict=True)), usage)


def demangled(names: list[str]) -> list[str]:
    done = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def _cache_folder() -> Path:
    return Path(os.environ.get("FASTGAN_EMULATION_CACHE") or _ROOT / "build" / "emulation") / "nvcc"


def _compile_into(folder: Path, command: list[str], ptxas: Path, source: Path, target: str) -> None:
    """The folder appears whole: several processes may compile the same source."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        result = Path(scratch) / "result"
        result.mkdir()
        _run([*command, "-ptx", str(source), "-o", str(result / "ptx")])
        log = _run([str(ptxas), "-v", "-O3", f"--gpu-name={target}", str(result / "ptx"), "-o", str(result / "cubin")])
        (result / "log").write_text(log)
        try:
            os.replace(result, folder)
        except OSError:
            if not folder.is_dir():  # another process was first otherwise
                raise


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr
