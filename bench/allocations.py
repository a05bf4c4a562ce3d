"""Bytes that a process has allocated, and the most at one moment: by a counting allocator and by the kernel."""

import ctypes
import os
import shlex
import shutil
import subprocess
from pathlib import Path

_SOURCE = Path(__file__).with_name("count_allocations.c")


def build_counter(folder: Path) -> Path | None:
    """The counting allocator, compiled into `folder` to be preloaded; None where that cannot be done."""
    if os.name != "posix":
        return None
    named = os.environ.get("CC")
    for command in [shlex.split(named)] if named else [["cc"], ["gcc"], ["clang"]]:
        if shutil.which(command[0]) is None:
            continue
        target = folder / "count_allocations.so"
        words = [*command, "-O2", "-shared", "-fPIC", "-o", str(target), str(_SOURCE)]
        if subprocess.run(words, capture_output=True).returncode == 0:
            return target
    return None


class Counter:
    """The counting allocator of this process; ValueError where it was not preloaded."""

    def __init__(self):
        self._library = ctypes.CDLL(None)
        try:
            for name in ("fastgan_bytes_now", "fastgan_bytes_peak"):
                getattr(self._library, name).restype = ctypes.c_longlong
        except AttributeError:
            raise ValueError("the counting allocator was not preloaded") from None

    def restart(self) -> int:
        """Count the peak from now on; the bytes allocated now."""
        self._library.fastgan_restart_peak()
        return self._library.fastgan_bytes_now()

    def peak(self) -> int:
        return self._library.fastgan_bytes_peak()


# Large blocks from the system and back to it at once: without that, what was freed before a step stays resident.
GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}


def restart_resident_peak() -> int | None:
    """Count VmHWM from now on; the resident bytes now. None where the kernel does not do that."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _status("VmRSS")
    except OSError:
        return None


def resident_peak() -> int:
    """VmHWM in bytes."""
    return _status("VmHWM")


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name + ":"))
