"""Which compiled CUDA code a device runs, and the reason where it is none; devices, drivers and builds as numbers."""

import pytest
import torch

from fastgan import backends, native
from fastgan.cuda_code import Build, code_for, why_none

PTX = "PTX of sm_{}, compiled by the driver at the first launch".format


@pytest.mark.parametrize(
    ("capability", "archs", "expected"),
    [
        ((8, 0), "80 90", "compiled for sm_80"),
        ((8, 9), "80 86 90", "compiled for sm_86"),
        ((9, 0), "80 90", "compiled for sm_90"),
        ((12, 0), "80 90", PTX(90)),
        ((12, 1), "80 100 120", "compiled for sm_120"),
        ((7, 5), "80 90", None),
        ((8, 0), "86 90", None),
        ((9, 0), "80 90a", "compiled for sm_90a"),
        ((10, 0), "80 90a", None),
        ((10, 3), "90 100f", "compiled for sm_100f"),
        ((12, 0), "90 100f", None),
        ((8, 9), "80 90a 86", "compiled for sm_86"),
        ((12, 0), "90 80", PTX(80)),
    ],
    ids=lambda value: str(value).replace(" ", "-"),
)
def test_which_code_a_device_runs(capability, archs, expected):
    assert code_for(capability, tuple(archs.split())) == expected


@pytest.mark.parametrize(
    ("capability", "driver", "expected"),
    [
        ((8, 0), (13, 0), None),
        ((8, 6), (13, 1), None),
        ((12, 0), (13, 2), None),
        ((7, 5), (13, 0), "this device has compute capability 7.5, and the CUDA part is built for 80, 90"),
        ((8, 0), (12, 8), "the driver must support CUDA 13.0 for the CUDA part as it is built, got 12.8"),
        ((12, 0), (13, 0), "the driver must support CUDA 13.1 for the CUDA part as it is built, got 13.0"),
    ],
    ids=["same", "minor", "ptx", "old device", "old driver", "old driver for ptx"],
)
def test_why_a_device_runs_none(capability, driver, expected):
    assert why_none(capability, driver, Build(("80", "90"), (13, 1))) == expected


def test_the_record_of_the_build_says_what_it_was_built_for(need):
    need(native.cuda_missing(), "nvcc")
    assert Build.of({"cuda_archs": "80;90", "cuda_version": "13.0"}) == (("80", "90"), (13, 0))
    build = Build.of(native.build_facts())
    assert all(code_for((int(arch[:-1]), int(arch[-1])), build.archs) for arch in build.archs if arch.isdigit())


@pytest.mark.gpu
def test_a_device_that_runs_none_is_no_device_of_the_backend(need):
    need(native.cuda_missing(), "nvcc")
    build = Build.of(native.build_facts())
    runs = code_for(torch.cuda.get_device_capability(), build.archs) is not None
    assert runs or "compute capability" in backends.unavailable("cuda")
