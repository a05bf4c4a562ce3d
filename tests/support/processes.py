"""Tests that need a Python of their own: another environment, another way Triton is loaded."""

import os
import subprocess
import sys


def run_python(code: str, timeout: float = 120.0, **environment: str) -> str:
    """Run `code` in a fresh interpreter of this environment; its stdout. Fails with its stderr."""
    done = run_python_raw(code, timeout, **environment)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def run_python_raw(code: str, timeout: float = 120.0, **environment: str) -> subprocess.CompletedProcess:
    """The same without judging the exit code."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("FASTGAN_", "TRITON_"))}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**inherited, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
