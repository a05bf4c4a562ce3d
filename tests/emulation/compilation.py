"""Compiles Triton kernels ahead of time, without a GPU and at most once: results are kept by content.

What a call means (types, divisibility by 16, ones that become constants) is decided by Triton's own functions.
"""

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, make_backend
from triton.runtime.jit import JITFunction, create_function_from_signature

NVIDIA_TARGETS = ("sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")
AMD_TARGETS = ("gfx942",)
TARGETS = (*NVIDIA_TARGETS, *AMD_TARGETS)

_ROOT = Path(__file__).resolve().parents[2]
_KEPT_METADATA = (
    "name",
    "num_warps",
    "num_ctas",
    "num_stages",
    "shared",
    "global_scratch_size",
    "profile_scratch_size",
)

compilations = 0  # how often this process has really compiled
reused: set[str] = set()  # keys of what others have compiled and this process has used
_own: set[str] = set()


@dataclass(frozen=True)
class Specialisation:
    """A kernel with everything that its machine code depends on, for one target.

    parameters: names of the arguments that stay arguments, in order; the others became constants.
    """

    kernel: JITFunction
    target: str
    signature: dict[str, str]
    constants: dict[tuple[int, ...], Any]
    attributes: dict[tuple[int, ...], list]
    options: Any

    @property
    def parameters(self) -> list[str]:
        return [name for name, kind in self.signature.items() if kind != "constexpr"]

    @property
    def source(self) -> ASTSource:
        return ASTSource(self.kernel, self.signature, self.constants, self.attributes)

    @cached_property
    def key(self) -> str:
        """Hash of the kernel's source and of all it calls, the signature, the options, the target and Triton."""
        parts = (triton.__version__, self.target, self.source.hash(), list(self.signature), self.options.hash())
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Compiled:
    """Text (PTX or AMD assembly) and binary (cubin or hsaco) of a kernel; metadata as of Triton."""

    target: str
    text: str
    binary: bytes
    metadata: dict[str, Any]

    @property
    def shared_bytes(self) -> int:
        return self.metadata["shared"]

    @property
    def threads(self) -> int:
        return 32 * self.metadata["num_warps"]


def cache_folder() -> Path:
    return Path(os.environ.get("FASTGAN_EMULATION_CACHE") or _ROOT / "build" / "emulation")


def gpu_target(name: str) -> GPUTarget:
    if name in NVIDIA_TARGETS:
        return GPUTarget("cuda", int(name[3:]), 32)
    if name in AMD_TARGETS:
        return GPUTarget("hip", name, 64)
    raise ValueError(f"target must be one of {', '.join(TARGETS)}, got {name!r}")


def specialise(kernel: JITFunction, target: str, args: tuple, kwargs: dict) -> Specialisation:
    """What Triton would compile for `kernel[grid](*args, **kwargs)` on this target."""
    if not isinstance(kernel, JITFunction):
        raise TypeError(f"expected a kernel of triton.jit, got {type(kernel).__name__}: is TRITON_INTERPRET set?")
    backend = make_backend(gpu_target(target))
    bind = create_function_from_signature(kernel.signature, kernel.params, backend)
    # As JITFunction.run does it, from the binder to the arguments of the compiler.
    kwargs = {"debug": bool(kernel.debug), "instrumentation_mode": "", **kwargs}
    bound, specialisation, options = bind(*args, **kwargs)
    options, signature, constants, attributes = kernel._pack_args(backend, kwargs, bound, specialisation, options)
    return Specialisation(kernel, target, signature, constants, attributes, options)


def compile_kernel(specialisation: Specialisation) -> Compiled:
    """From the cache, or by Triton."""
    folder = cache_folder() / specialisation.key
    if not folder.is_dir():
        _compile_into(folder, specialisation)
        _own.add(specialisation.key)
    elif specialisation.key not in _own:
        reused.add(specialisation.key)
    return Compiled(
        specialisation.target,
        (folder / "text").read_text(),
        (folder / "binary").read_bytes(),
        json.loads((folder / "metadata.json").read_text()),
    )


def _compile_into(folder: Path, specialisation: Specialisation) -> None:
    """The folder appears whole: several processes may compile the same kernel."""
    global compilations
    compilations += 1
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch, triton.knobs.cache.scope():
        triton.knobs.cache.dir = scratch  # Triton's own cache would hide what compiles and what does not
        target = gpu_target(specialisation.target)
        compiled = triton.compile(specialisation.source, target=target, options=specialisation.options.__dict__)
        text, binary = ("ptx", "cubin") if target.backend == "cuda" else ("amdgcn", "hsaco")
        result = Path(scratch) / "result"
        result.mkdir()
        (result / "text").write_text(compiled.asm[text])
        (result / "binary").write_bytes(compiled.asm[binary])
        metadata = {name: getattr(compiled.metadata, name, None) for name in _KEPT_METADATA}
        (result / "metadata.json").write_text(json.dumps(metadata, indent=1))
        try:
            os.replace(result, folder)
        except OSError:
            if not folder.is_dir():  # another process was first otherwise
                raise
            shutil.rmtree(result)
