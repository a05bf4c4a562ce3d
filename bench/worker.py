"""The process of one engine: builds what it is told to build, shows its output, and times it in blocks.

Needs numpy and the engine's own packages alone; see `process.command` for how it is started.
"""

import importlib
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from .protocol import receive, send

_WARM = 10.0  # seconds of discarded calls after which an engine is as warm as it gets


def block(
    call: Callable[[], Any], discard: int, seconds: float, synchronise: Callable[[], Any] = lambda: None
) -> tuple[int, float]:
    """Discard some calls, then call for at least `seconds`: (calls, seconds they took).

    synchronise: waits for what the calls have launched; called before the first that counts and after the last.
    """
    start = time.perf_counter()
    for _ in range(discard):
        call()
        if time.perf_counter() - start > _WARM:
            break
    synchronise()
    calls, elapsed = 0, 0.0
    start = time.perf_counter()
    while calls == 0 or elapsed < seconds:
        call()
        calls += 1
        elapsed = time.perf_counter() - start
    synchronise()
    return calls, time.perf_counter() - start


def serve(module_name: str) -> None:
    """Answer requests on standard input until it ends; an exception is an answer too."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not get between the answers
    engine: Any = None
    while True:
        try:
            header, arrays = receive(requests)
        except EOFError:
            return
        try:
            answer, out = {}, None
            if header["do"] == "prepare":
                engine = None
                engine = importlib.import_module(f".engines.{module_name}", __package__).prepare(header, arrays)
                answer = {"versions": engine.versions()}
            elif header["do"] == "check":
                out = engine.check()
            elif header["do"] == "time":
                engine.reset()
                waits = [engine.synchronise] if hasattr(engine, "synchronise") else []
                calls, seconds = block(engine.call, header["discard"], header["seconds"], *waits)
                answer = {"calls": calls, "seconds": seconds}
            elif header["do"] == "measure":
                answer = {"measured": engine.measure()}
        except Exception as error:
            lines = str(error).strip().splitlines()
            answer = {"error": f"{type(error).__name__}: {lines[0] if lines else ''}"[:300]}
        send(answers, answer, out)


if __name__ == "__main__":
    serve(sys.argv[1])
