"""Which of the CUDA part's compiled code a device runs, and why none of it where it runs none.

The part is compiled for some architectures, and for the last of them kept as PTX too, from which a driver compiles.
"""

import ctypes
import re
from typing import Any, NamedTuple

import torch

Version = tuple[int, int]


class Build(NamedTuple):
    """What the CUDA part was compiled for, and the toolkit's version, whose runtime is linked in."""

    archs: tuple[str, ...]
    cuda: Version

    @classmethod
    def of(cls, facts: dict[str, Any]) -> "Build":
        """Of a record that has it (`native.build_facts()`)."""
        return cls(tuple(facts["cuda_archs"].split(";")), _version(facts["cuda_version"]))


def code_for(capability: Version, archs: tuple[str, ...]) -> str | None:
    """What a device of this capability runs, in words; None if nothing was compiled for it."""
    able = [arch for arch in archs if _runs(capability, arch)]
    if able:
        return f"compiled for sm_{max(able, key=_of)}"
    if _compiles(capability, archs[-1]):
        return f"PTX of sm_{archs[-1]}, compiled by the driver at the first launch"
    return None


def why_none(capability: Version, driver: Version, build: Build) -> str | None:
    """None if a device with such a driver runs the build's code, else the reason why not.

    driver: the newest CUDA that it supports. Within a major version an older one will do, but not compile newer PTX.
    """
    code = code_for(capability, build.archs)
    if code is None:
        archs = ", ".join(build.archs)
        return f"this device has compute capability {_dotted(capability)}, and the CUDA part is built for {archs}"
    wanted = build.cuda if code.startswith("PTX") else (build.cuda[0], 0)
    if driver < wanted:
        return f"the driver must support CUDA {_dotted(wanted)} for the CUDA part as it is built, got {_dotted(driver)}"
    return None


def why_none_here(build: Build) -> str | None:
    """The same of torch's current device, which must be there."""
    try:
        driver = _driver()
    except OSError as error:
        return f"the driver's library does not load: {error}"
    return why_none(torch.cuda.get_device_capability(), driver, build)


def _runs(capability: Version, arch: str) -> bool:
    """Whether the machine code runs: up to the next major; 90a on that capability alone."""
    return capability == _of(arch) if arch.endswith("a") else capability[0] == _of(arch)[0] and capability >= _of(arch)


def _compiles(capability: Version, arch: str) -> bool:
    """Whether the PTX can be compiled: for all that comes later, but of 90a and 100f for no other than these run on."""
    return capability >= _of(arch) if arch.isdigit() else _runs(capability, arch)


def _of(arch: str) -> Version:
    return divmod(int(re.match(r"\d+", arch).group()), 10)


def _driver() -> Version:
    """The newest CUDA that the driver supports."""
    version = ctypes.c_int()
    ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(version))
    return version.value // 1000, version.value % 1000 // 10


def _version(text: str) -> Version:
    major, minor = text.split(".")[:2]
    return int(major), int(minor)


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))
