"""The file of `fastgan bench gpu-model` holds what the compiler gives for today's kernels."""

import pytest
from fastgan.bench.gpu.compiled import compiled_kernels

from .step_resources import table


@pytest.mark.emulation_full
def test_the_compiled_kernels_are_those_of_the_file():
    names = ("launch", "target", "registers", "spills", "shared", "warps")
    listed = [{name: row[name] for name in names} for row in compiled_kernels()["rows"]]
    assert listed == table(), "python -m tests.emulation.step_resources > bench/gpu/resources.json"
