"""What is measured of the machine itself, and of a process."""

import os
import sys
from pathlib import Path

import pytest
from fastgan.bench.allocations import build_counter
from fastgan.bench.engines import BY_NAME, GENERATOR, Backend
from fastgan.bench.machine import commit, triad_gb_per_s
from fastgan.bench.options import Options
from fastgan.bench.process import EngineError, EngineProcess, environment
from fastgan.bench.protocol import receive, send
from fastgan.bench.suites import generator
from support.processes import run_python

from fastgan import native


def test_the_peak_is_that_of_multiply_adds(need):
    need(native.host_missing(), "cpu")
    peak = native.host().fma_peak(1, 0.02)
    assert 1e9 < peak < 1e12  # one core: 1 a cycle at 1 GHz, 64 a cycle at 6 GHz
    for arguments in ((0, 0.1), (1, 0.0)):
        with pytest.raises(ValueError, match="must be positive"):
            native.host().fma_peak(*arguments)


def test_the_triad_moves_bytes():
    assert triad_gb_per_s(1) > 0.5


def test_the_commit_is_that_of_a_checkout():
    found = commit()
    assert found is None or len(found.removesuffix("+")) == 12


def test_engines_wait_passively_unless_asked_otherwise(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    passive, default = environment(3, "passive"), environment(3, "default")
    assert (passive["OMP_WAIT_POLICY"], passive["OMP_NUM_THREADS"]) == ("PASSIVE", "3")
    assert "OMP_WAIT_POLICY" not in default


def test_messages_cross_a_pipe(tmp_path):
    import numpy as np

    with open(tmp_path / "pipe", "wb") as pipe:
        send(pipe, {"do": "x", "n": [1, 2]}, {"a/b.weight": np.arange(6.0).reshape(2, 3)})
        send(pipe, {"do": "y"})
    with open(tmp_path / "pipe", "rb") as pipe:
        header, arrays = receive(pipe)
        assert header == {"do": "x", "n": [1, 2]}
        assert arrays["a/b.weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
        assert receive(pipe) == ({"do": "y"}, {})
        with pytest.raises(EOFError):
            receive(pipe)


@pytest.mark.slow
def test_a_process_that_dies_says_its_last_words():
    engine = EngineProcess(Backend("x", "no_such_engine", (GENERATOR,)), 1, "passive")
    try:
        with pytest.raises(EngineError, match="ModuleNotFoundError"):
            engine.prepare({}, {})
        engine._process.kill()
        with pytest.raises(EngineError, match="ended with code -9"):
            engine.check()
    finally:
        engine.close()


@pytest.mark.slow
def test_a_foreign_python_needs_no_fastgan(tmp_path):
    """The worker runs from its folder alone, where neither fastgan nor torch can be imported."""
    wall = tmp_path / "sitecustomize.py"
    wall.write_text("import sys\nsys.modules['fastgan'] = sys.modules['torch'] = None\n")
    job, arrays = generator.cases(Options(size=(16, 16), width=8, batch=1))[0].work_for(BY_NAME["jax"], 1, "passive")
    extra = {"PYTHONPATH": str(tmp_path)}
    engine = EngineProcess(BY_NAME["jax"], 1, "passive", sys.executable, extra)
    try:
        engine.prepare(job, arrays)
    except EngineError as error:  # here is no JAX either: it came as far as importing it
        assert "No module named 'jax'" in str(error)
    finally:
        engine.close()


@pytest.mark.slow
def test_the_counting_allocator_counts(tmp_path, need):
    counter = build_counter(tmp_path)
    # It is C that is preloaded, built where it is used: without a compiler there is nothing to count with.
    need("no C compiler" if counter is None else None, "cc")
    code = """
from fastgan.bench.allocations import Counter
import torch
counter = Counter()
a = torch.empty(50, 10**6)
del a
before = counter.restart()
b = torch.empty(25, 10**6)
del b
c = torch.empty(10**6)
print(counter.peak() - before)
"""
    peak = int(run_python(code, LD_PRELOAD=str(counter)))
    assert 100e6 <= peak < 101e6
    assert "not preloaded" in run_python(
        "from fastgan.bench.allocations import Counter\ntry:\n    Counter()\nexcept ValueError as e:\n    print(e)"
    )


def test_the_source_of_the_counter_is_installed():
    import fastgan.bench.allocations as allocations

    assert Path(allocations.__file__).with_name("count_allocations.c").is_file()
    assert os.path.isfile(Path(allocations.__file__).with_name("page.html"))
