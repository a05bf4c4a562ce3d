"""libfastgan.so through ctypes: fastgan.h as Python functions, thread pools to call it with, a compiler's flags."""

import contextlib
import ctypes
import io
import shlex
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fastgan.cli.app import run as command

ROOT = Path(__file__).resolve().parents[2]

OK, BAD_ARGUMENT, CANNOT_READ, BAD_FILE, UNSUPPORTED, OUT_OF_MEMORY, POOL_FAILED, INTERNAL = range(8)

TASK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)
PARALLEL_FOR = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, TASK, ctypes.c_void_p)


class Error(ctypes.Structure):
    _fields_ = [("message", ctypes.c_char * 512)]


class Pool(ctypes.Structure):
    _fields_ = [("parallel_for", PARALLEL_FOR), ("context", ctypes.c_void_p), ("threads", ctypes.c_int)]


class Refused(Exception):
    """A status that is not FASTGAN_OK, with the sentence."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


def pool(threads: int, run: Callable[[int, Callable[[int], None]], None]) -> Pool:
    """A fastgan_pool whose parallel_for is run(tasks, call)."""

    @PARALLEL_FOR
    def parallel_for(context, tasks, task, argument):
        run(tasks, lambda index: task(argument, index))

    return Pool(parallel_for, None, threads)


def real_threads(tasks: int, call: Callable[[int], None]) -> None:
    """A thread for each task."""
    threads = [threading.Thread(target=call, args=(i,)) for i in range(tasks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def backwards(tasks: int, call: Callable[[int], None]) -> None:
    """One after the other on the calling thread, the last first."""
    for index in reversed(range(tasks)):
        call(index)


class Library:
    """The functions that tests need; those that give a status raise Refused."""

    def __init__(self, path: Path):
        c = self.c = ctypes.CDLL(str(path))
        self.version = c.fastgan_c_version()
        sizes = ("latent_size", "channels", "height", "width", "image_size", "classes")
        for name in sizes:
            getattr(c, f"fastgan_{name}").restype = ctypes.c_int64
        c.fastgan_capability.restype = ctypes.c_char_p

    def call(self, name: str, *arguments) -> None:
        error = Error()
        status = getattr(self.c, f"fastgan_{name}")(*arguments, ctypes.byref(error))
        message = error.message.decode()
        if status != OK:
            assert message and "\n" not in message
            raise Refused(status, message)
        assert message == ""

    def load(self, source: Path | bytes, capability: str | None = "auto") -> "Generator":
        """From a path, or from bytes in memory of just their size."""
        handle = ctypes.c_void_p(1)
        name = None if capability is None else capability.encode()
        try:
            if isinstance(source, bytes):
                memory = (ctypes.c_char * len(source)).from_buffer_copy(source)
                self.call("load_memory", memory, ctypes.c_size_t(len(source)), name, ctypes.byref(handle))
            else:
                self.call("load_file", str(source).encode(), name, ctypes.byref(handle))
        except Refused:
            assert handle.value is None
            raise
        return Generator(self, handle)


class Generator:
    """A fastgan_generator; freed with the object."""

    def __init__(self, library: Library, handle: ctypes.c_void_p):
        self.library, self.handle = library, handle
        for name in ("latent_size", "channels", "height", "width", "image_size", "classes"):
            setattr(self, name, getattr(library.c, f"fastgan_{name}")(handle))
        self.capability = library.c.fastgan_capability(handle).decode()

    def __del__(self):
        self.library.c.fastgan_free(self.handle)

    def latents(self, seed: int, first: int, count: int) -> np.ndarray:
        z = np.full((count, self.latent_size), np.nan, np.float32)
        arguments = ctypes.c_uint64(seed), ctypes.c_uint64(first), ctypes.c_int64(count), address(z)
        self.library.call("draw_latents", self.handle, *arguments)
        return z

    def images(self, z: np.ndarray, labels: np.ndarray | None, pixels: bool, pool: Pool | None = None) -> np.ndarray:
        """[N, H, W, C], uint8 or float32; memory is poisoned first."""
        shape = (len(z), self.height, self.width, self.channels)
        out = np.full(shape, 77, np.uint8) if pixels else np.full(shape, np.nan, np.float32)
        name = "generate_pixels" if pixels else "generate_floats"
        pointer = None if pool is None else ctypes.byref(pool)
        arguments = ctypes.c_int64(len(z)), address(z), address(labels), pointer, address(out)
        self.library.call(name, self.handle, *arguments)
        return out


def address(array: np.ndarray | None) -> ctypes.c_void_p:
    """Of the numbers of a contiguous array."""
    if array is None:
        return ctypes.c_void_p(None)
    assert array.flags.c_contiguous
    return ctypes.c_void_p(array.ctypes.data)


def flags(*options: str) -> list[str]:
    """What `fastgan c-api` prints."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert command(["c-api", *options]) == 0
    return shlex.split(said.getvalue())
