"""An engine in a process of its own, as the benchmark sees it."""

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from fastgan.bench.engines import Backend
from fastgan.bench.protocol import Message, receive, send

# Loads the worker from its folder as a package of another name: a Python without fastgan can run it too.
_BOOTSTRAP = """
import importlib, importlib.util, sys
folder, engine = sys.argv[1:]
spec = importlib.util.spec_from_file_location(
    "fastgan_bench", folder + "/__init__.py", submodule_search_locations=[folder])
sys.modules["fastgan_bench"] = package = importlib.util.module_from_spec(spec)
spec.loader.exec_module(package)
importlib.import_module("fastgan_bench.worker").serve(engine)
"""


class EngineError(Exception):
    """An engine cannot do what it was asked to; the message says why."""


def command(backend: Backend, python: str) -> list[str]:
    """How the worker of `backend` is started."""
    if backend.foreign:
        return [python, "-c", _BOOTSTRAP, str(Path(__file__).parent), backend.module]
    return [python, "-m", "fastgan.bench.worker", backend.module]


def environment(threads: int, waiting: str, device: str = "cpu") -> dict[str, str]:
    """The environment of an engine with that many threads; waiting "passive" lets idle threads sleep at once.

    On "cuda" no library may take TF32 for float32; on "cpu" none sees a GPU.
    """
    variables = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    variables |= {"TF_CPP_MIN_LOG_LEVEL": "2", "JAX_PLATFORMS": "cpu"}
    variables |= {"NVIDIA_TF32_OVERRIDE": "0"} if device == "cuda" else {"CUDA_VISIBLE_DEVICES": ""}
    if waiting == "passive":
        variables |= {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"}
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_", "KMP_", "MKL_"))}
    return {**kept, **variables}


class EngineProcess:
    """A worker; requests are answered in order. `extra` are more variables of its environment."""

    def __init__(
        self,
        backend: Backend,
        threads: int,
        waiting: str,
        python: str | None = None,
        extra: dict[str, str] | None = None,
        device: str = "cpu",
    ):
        self.backend = backend
        self.versions: dict[str, str] = {}
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(
            command(backend, python or sys.executable),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env={**environment(threads, waiting, device), **(extra or {})},
            start_new_session=True,  # Ctrl-C is for the benchmark, which then ends its engines
        )

    def prepare(self, job: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Build what is to be timed. EngineError says why it cannot."""
        options = {**job.get("options", {}), **self.backend.options}
        header, _ = self._ask({**job, "options": options, "do": "prepare"}, arrays)
        self.versions = header["versions"]

    def check(self) -> dict[str, np.ndarray]:
        """What one timed call gives, from the state it was prepared with."""
        return self._ask({"do": "check"})[1]

    def time(self, discard: int, seconds: float) -> float:
        """Seconds per call of one block."""
        header, _ = self._ask({"do": "time", "discard": discard, "seconds": seconds})
        return header["seconds"] / header["calls"]

    def measure(self) -> dict[str, Any]:
        """What the engine measures by itself."""
        return self._ask({"do": "measure"})[0]["measured"]

    def close(self) -> None:
        """End the process; whoever waits for its answer gets an EngineError."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._said):
            with contextlib.suppress(BrokenPipeError):  # a request that the process did not live to read
                pipe.close()

    def _ask(self, header: dict[str, Any], arrays: dict[str, np.ndarray] | None = None) -> Message:
        try:
            send(self._process.stdin, header, arrays)
            answer = receive(self._process.stdout)
        except (EOFError, OSError) as error:
            raise EngineError(self._last_words()) from error
        if "error" in answer[0]:
            raise EngineError(answer[0]["error"])
        return answer

    def _last_words(self) -> str:
        code = self._process.wait()
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        return f"its process ended with code {code}" + (f": {lines[-1][:200]}" if lines else "")
