"""The shared objects ask for nothing but torch and the C libraries, and show nothing but what is asked of them."""

import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from fastgan import native

PACKAGE = Path(native.__file__).parent
# pthread, rt and dl are part of the C library since glibc 2.34.
SYSTEM = {"libstdc++.so.6", "libm.so.6", "libgcc_s.so.1", "libc.so.6", "libpthread.so.0", "librt.so.1", "libdl.so.2"}
LOADER = re.compile(r"ld-linux-[\w-]+\.so\.\d")
NEEDED = {"_ops": {"libc10.so", "libtorch.so", "libtorch_cpu.so"}, "_C": set()}
SHOWN = {"_ops": set(), "_C": {"PyInit__C"}}


@pytest.fixture(params=["_ops", "_C"])
def shared_object(request, need) -> tuple[str, Path]:
    need(native.ops_missing() or native.host_missing(), "cpu")
    need(None if shutil.which("readelf") and shutil.which("nm") else "no binutils", "cc")
    return request.param, PACKAGE / f"{request.param}{sysconfig.get_config_var('EXT_SUFFIX')}"


def said(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_needs_no_other_library_and_so_no_cuda_runtime(shared_object):
    name, path = shared_object
    needed = set(re.findall(r"\(NEEDED\).*\[(.+)\]", said("readelf", "-d", path)))
    assert NEEDED[name] <= needed
    assert {each for each in needed - NEEDED[name] - SYSTEM if not LOADER.fullmatch(each)} == set()


def test_shows_nothing_else(shared_object):
    name, path = shared_object
    shown = {line.split()[-1] for line in said("nm", "-D", "--defined-only", path).splitlines()}
    assert shown == SHOWN[name]


def test_the_stream_of_cuda_is_not_insisted_upon(shared_object, need):
    name, path = shared_object
    need(native.cuda_missing(), "nvcc")
    asked = re.findall(r"(\w) (\w*cuda\w*)", said("nm", "-D", "--undefined-only", path))
    expected = {
        "_ops": {("w", "aoti_torch_get_current_cuda_stream"), ("U", "aoti_torch_device_type_cuda")},
        "_C": set(),
    }
    assert set(asked) <= expected[name]
