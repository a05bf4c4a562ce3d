"""Real installs, each into a throw-away folder: with and without a compiler, a visible torch, triton."""

import ctypes
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the native part is for Linux"),
]

ROOT = Path(__file__).resolve().parents[2]
SITE = Path(sysconfig.get_path("purelib"))
SHIPPED = (
    "setup.py",
    "pyproject.toml",
    "MANIFEST.in",
    "README.md",
    "LICENSE",
    "NOTICE.md",
    "building",
    "csrc",
    "fastgan",
)
BUILT = shutil.ignore_patterns("*.so", "_build.json", "__pycache__")

USE = """
import torch, fastgan
from fastgan import backends, losses
from fastgan.cli.info import info
assert fastgan.__file__.startswith({target!r}), fastgan.__file__
with backends.record() as runs:
    real = torch.tensor([2.0, 0.0], requires_grad=True)
    losses.gan_loss(real, torch.tensor([-2.0, -1.0]), family="hinge").d_loss.backward()
assert real.grad.tolist() == [0.0, -0.5]
print("ran", runs[0].backend)
info(False)
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of the repository as a fresh clone has it."""
    target = tmp_path / "source"
    target.mkdir()
    for name in (*SHIPPED, "kernels", "bench"):
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, target / name, ignore=BUILT)
        else:
            shutil.copy(path, target / name)
    return target


def clean_environment(**extra: str) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("FASTGAN_", "PYTHON"))}
    return {**inherited, "OMP_NUM_THREADS": "1", **extra}


def pip_install(source: Path, target: Path, python: str = sys.executable, **environment: str) -> None:
    command = [python, "-m", "pip", "install", "--no-build-isolation", "--no-deps", "--no-index", "-q"]
    done = subprocess.run(
        [*command, "--disable-pip-version-check", "--target", str(target), str(source)],
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def use(target: Path, prelude: str = "", **environment: str) -> str:
    code = prelude + USE.format(target=str(target))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=clean_environment(PYTHONPATH=str(target), **environment),
        cwd=target,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_a_compiler(source, tmp_path):
    target = tmp_path / "installed"
    pip_install(source, target, CXX="/nonexistent/c++")
    said = use(target)
    assert said.startswith("ran reference\n")
    assert "no working C++17 compiler was found (tried /nonexistent/c++)" in said
    assert "to get it: pip install --no-build-isolation ." in said
    for file in ("kernels/gan_loss.py", "bench/__init__.py", "tasks/report.html", "include/fastgan.h"):
        assert (target / "fastgan" / file).is_file(), file


def test_without_a_visible_torch(source, tmp_path):
    """What build isolation does, without its downloads: a Python that sees only pip and setuptools."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    visible = tmp_path / "visible"
    visible.mkdir()
    for pattern in ("pip", "pip-*.dist-info", "setuptools", "setuptools-*.dist-info", "_distutils_hack"):
        for path in SITE.glob(pattern):
            (visible / path.name).symlink_to(path)
    target = tmp_path / "installed"
    pip_install(source, target, str(tmp_path / "bare/bin/python"), PYTHONPATH=str(visible))
    said = use(target)
    assert said.startswith("ran reference\n")
    assert "torch was not visible to the build" in said
    assert "to get it: pip install --no-build-isolation ." in said


def test_native_wheel(source, tmp_path):
    """The operators run from the wheel; also with triton hidden, and with a host module that does not load."""
    if (ROOT / "build/objects").is_dir():  # most of what the build here has compiled would come out again
        shutil.copytree(ROOT / "build/objects", source / "build/objects")
    target = tmp_path / "installed"
    pip_install(source, target, FASTGAN_BUILD="cpu")
    said = use(target, prelude="import sys\nsys.modules['triton'] = None\n")
    assert said.startswith("ran cpu\n")
    assert "FASTGAN_BUILD=cpu asked for the CPU part alone" in said
    assert "triton is not installed" in said
    assert (target / "fastgan/include/fastgan.h").is_file()
    library = ctypes.CDLL(str(target / "fastgan/lib/libfastgan.so"))
    assert library.fastgan_c_version() == 1
    (host,) = (target / "fastgan").glob("_C*.so")
    host.write_bytes(b"not a shared object")
    assert use(target).startswith("ran cpu\n")


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        (
            {"FASTGAN_BUILD": "cuda", "CUDA_HOME": "/nonexistent"},
            "FASTGAN_BUILD=cuda cannot be satisfied: no nvcc",
        ),
        (
            {"FASTGAN_BUILD": "cpu", "CXX": "/nonexistent/c++"},
            "FASTGAN_BUILD=cpu cannot be satisfied: no working",
        ),
        ({"FASTGAN_BUILD": "fast"}, "FASTGAN_BUILD must be one of auto, none, cpu, cuda, got 'fast'"),
        ({"FASTGAN_CUDA_ARCHS": "hopper"}, "FASTGAN_CUDA_ARCHS must list compute capabilities like 80;90"),
    ],
    ids=["no-nvcc", "no-compiler", "nonsense-build", "nonsense-archs"],
)
def test_what_cannot_be_built_fails_loudly(source, environment, words):
    command = [sys.executable, "setup.py", "--name"]
    done = subprocess.run(command, cwd=source, env=clean_environment(**environment), capture_output=True, text=True)
    assert done.returncode != 0
    assert words in done.stderr


def test_a_source_that_does_not_compile_is_told_with_the_way_out(source):
    (source / "csrc/cpu/capability.cpp").write_text("#error not today\n")
    command = [sys.executable, "setup.py", "build_ext"]
    environment = clean_environment(FASTGAN_BUILD="cpu", MAX_JOBS="1")
    done = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True)
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert "error not today" in done.stderr and "set FASTGAN_BUILD=none for a pure Python install" in done.stderr


def data_files(source: Path) -> set[str]:
    """What packages have beside their Python files, where a wheel has it."""
    found = set()
    for room, prefix in (("fastgan", "fastgan"), ("kernels", "fastgan/kernels"), ("bench", "fastgan/bench")):
        files = (path for path in (source / room).rglob("*") if path.is_file() and path.suffix != ".py")
        found |= {f"{prefix}/{path.relative_to(source / room)}" for path in files}
    assert {"fastgan/include/fastgan.h", "fastgan/tasks/report.html", "fastgan/bench/page.html"} <= found
    return found


def test_source_distribution_and_wheel_hold_what_they_should(source, tmp_path):
    build = "from setuptools import build_meta as b; print(b.build_sdist({0!r})); print(b.build_wheel({0!r}))"
    done = subprocess.run(
        [sys.executable, "-c", build.format(str(tmp_path))],
        cwd=source,
        env=clean_environment(FASTGAN_BUILD="none"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "would be ignored" not in done.stdout + done.stderr  # setuptools, of folders that are no packages
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        files = {name.partition("/")[2] for name in archive.getnames()}
    on_disk = {str(p.relative_to(source)) for p in (source / "csrc").rglob("*") if p.is_file()}
    listed = {"kernels/gan_loss.py", "bench/__init__.py", "building/tools.py", "fastgan/include/fastgan.h", "setup.py"}
    assert on_disk | listed <= files
    wheel = next(tmp_path.glob("*.whl"))
    assert wheel.name.endswith("-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    top = {name.partition("/")[0] for name in packed}
    assert {"fastgan/kernels/gan_loss.py", "fastgan/_build.json"} <= packed
    assert data_files(source) <= packed
    assert "fastgan/bench/micro/test_speed_operators.py" not in packed
    assert top == {"fastgan", wheel.name.split("-py3")[0] + ".dist-info"}
