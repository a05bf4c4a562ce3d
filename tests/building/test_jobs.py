"""The commands by which sources are compiled: what of CXX reaches the C++ compiler, and what reaches nvcc."""

import shlex
from pathlib import Path

import pytest

from building.jobs import host_compiler, nvcc_command
from building.plan import Plan
from building.tools import Toolkit

TOOLKIT = Toolkit(Path("/cuda/bin/nvcc"), Path("/cuda/bin/ptxas"), Path("/cuda"), "13.0", ("80",), Path("/cuda/lib64"))


@pytest.mark.parametrize(
    ("cxx", "compiler"),
    [
        ("c++", "c++"),
        ("/opt/gcc/bin/g++", "/opt/gcc/bin/g++"),
        ("ccache g++", "g++"),
        ("distcc ccache clang++-16", "clang++-16"),
        ("ccache /opt/my-gcc/bin/g++ -m64 -isystem /opt/include", "/opt/my-gcc/bin/g++"),
        ("c++ -fsanitize=address -g1", "c++"),
        ("g++ -isystem /opt/include", "g++"),
    ],
)
def test_nvcc_is_given_the_compiler_and_no_launcher(cxx, compiler):
    command = tuple(shlex.split(cxx))
    assert host_compiler(command) == compiler
    given = nvcc_command(Plan(command, Path("/torch"), "2.13.0", TOOLKIT, ("80",), {}))
    assert given[given.index("-ccbin") + 1] == compiler
