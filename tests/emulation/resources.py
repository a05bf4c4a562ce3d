"""What a compiled kernel needs of a GPU, read from its machine code: nothing here ran.

NVIDIA: cuobjdump and nvdisasm, which Triton brings, on the cubin. AMD: the assembly and its metadata.
"""

import functools
import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import triton

from .compilation import AMD_TARGETS, Compiled

# Bytes that one block can have (CUDA C++ programming guide, "Technical specifications per compute capability"; CDNA 3
# instruction set reference). A kernel that asks for more compiles, and fails at its launch.
SHARED_LIMITS = {
    "sm_80": 163 * 1024,
    "sm_86": 99 * 1024,
    "sm_89": 99 * 1024,
    "sm_90": 227 * 1024,
    "sm_100": 227 * 1024,
    "sm_120": 99 * 1024,
    "gfx942": 64 * 1024,
}

_TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
_USAGE = re.compile(r"REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)")
_SASS = re.compile(r"^\s*/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)", re.MULTILINE)
_SASS_TENSOR = re.compile(r"(HMMA|HGMMA|QGMMA|IMMA|DMMA|UTC\w*MMA)\b")
_SASS_GLOBAL = re.compile(r"(LDG|STG|LDGSTS)\b")
_GCN = re.compile(r"^\s+([a-z]\w+)\s", re.MULTILINE)
_GCN_TENSOR = re.compile(r"v_s?(mfma|wmma|mfmac)")
_GCN_GLOBAL = re.compile(r"(global|buffer|flat)_(load|store)")


@dataclass(frozen=True)
class Resources:
    """registers: of a thread. stack: bytes of local memory of a thread. spills: instructions that spill or reload.

    shared: bytes of a block, static and dynamic. opcodes: how often each stands in the code, not how often it runs.
    """

    registers: int
    stack: int
    spills: int
    shared: int
    opcodes: Counter = field(repr=False)
    tensor_opcodes: Counter
    global_accesses: Counter  # LDG.E.128, LDGSTS.E.BYPASS.128, buffer_load_dwordx4 ...

    @property
    def uses_tensor_cores(self) -> bool:
        return bool(self.tensor_opcodes)


def resources(compiled: Compiled) -> Resources:
    return _of_amd(compiled) if compiled.target in AMD_TARGETS else _of_nvidia(compiled.binary, compiled.shared_bytes)


def disassemble(cubin: bytes) -> str:
    """The machine code of a cubin as text."""
    return _tool("nvdisasm", "-c", cubin=cubin)


@functools.lru_cache(maxsize=256)
def _of_nvidia(cubin: bytes, dynamic_shared: int) -> Resources:
    usage = _USAGE.search(_tool("cuobjdump", "--dump-resource-usage", cubin=cubin))
    registers, stack, _, local = map(int, usage.groups())
    opcodes = Counter(_SASS.findall(disassemble(cubin)))
    # What the hardware reserves shows as static; Triton's own memory is all dynamic.
    return Resources(
        registers=registers,
        stack=stack + local,
        spills=sum(count for name, count in opcodes.items() if name.split(".")[0] in ("LDL", "STL")),
        shared=dynamic_shared,
        opcodes=opcodes,
        tensor_opcodes=_matching(opcodes, _SASS_TENSOR),
        global_accesses=_matching(opcodes, _SASS_GLOBAL),
    )


def _of_amd(compiled: Compiled) -> Resources:
    text = compiled.text
    opcodes = Counter(_GCN.findall(text))
    scratch = sum(count for name, count in opcodes.items() if name.startswith("scratch_"))
    return Resources(
        registers=_metadata(text, "vgpr_count"),
        stack=_metadata(text, "private_segment_fixed_size"),
        spills=_metadata(text, "vgpr_spill_count") + _metadata(text, "sgpr_spill_count") + scratch,
        shared=compiled.shared_bytes,
        opcodes=opcodes,
        tensor_opcodes=_matching(opcodes, _GCN_TENSOR),
        global_accesses=_matching(opcodes, _GCN_GLOBAL),
    )


def _metadata(text: str, name: str) -> int:
    return int(re.search(rf"^\s*(?:- )?\.{name}:\s+(\d+)", text, re.MULTILINE).group(1))


def _matching(opcodes: Counter, pattern: re.Pattern) -> Counter:
    return Counter({name: count for name, count in opcodes.items() if pattern.match(name)})


def _tool(name: str, option: str, cubin: bytes) -> str:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        done = subprocess.run([_TOOLS / name, option, file.name], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{name} {option}: {done.stderr.strip()}")
    return done.stdout
