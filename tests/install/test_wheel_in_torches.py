"""`make test-wheel`: the wheel in dist/, loaded and run in several releases of torch, for the CPU and for CUDA."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.wheel, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[2]
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
TORCHES = ("2.13.0+cpu", "2.14.1", "2.11.0")
# What fastgan's own command needs besides torch, and what torch does not need to be imported, but is large.
BESIDE = ("numpy", "typer", "rich")
LEFT_OUT = ("triton", "cuda-bindings")


@pytest.fixture(scope="module")
def wheel() -> Path:
    found = list((ROOT / "dist").glob("fastgan-*.whl"))
    assert len(found) == 1, "make wheel puts one wheel into dist/"
    return found[0]


def pip(python: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "-q", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def install(python: Path, *arguments: str) -> None:
    done = pip(python, *arguments)
    assert done.returncode == 0, done.stderr


def requirements(site: Path) -> list[str]:
    """What torch names as its needs here, without what it can be imported without."""
    (info,) = site.glob("torch-*.dist-info")
    named = importlib.metadata.Distribution.at(info).requires or []
    kept = [each for each in named if "extra ==" not in each]
    return [each for each in kept if re.match(r"[\w-]+", each).group() not in LEFT_OUT]


@pytest.fixture(params=TORCHES)
def python(request, wheel, need):
    """A Python of its own with that torch and the wheel; gigabytes, so they are gone afterwards."""
    folder = ROOT / f"build/wheel-in-torch-{request.param}"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        found = folder / "bin/python"
        index = ("--extra-index-url", CPU_WHEELS) if request.param.endswith("+cpu") else ()
        done = pip(found, "--no-deps", "--retries", "1", f"torch=={request.param}", *index)
        missing = "No matching distribution" in done.stderr
        need(f"the package index has no torch {request.param}" if missing else None, f"torch-{request.param}")
        assert done.returncode == 0, done.stderr
        site = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
        install(found, *requirements(site), *BESIDE)
        install(found, "--no-deps", "--no-index", str(wheel))
        yield request.param, found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(python: Path, *command: str) -> str:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("FASTGAN_", "PYTHON"))}
    done = subprocess.run(
        [str(python), *command], env={**inherited, "OMP_NUM_THREADS": "1"}, cwd="/", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_operators_load_and_run(python):
    version, found = python
    said = json.loads(run(found, str(ROOT / "tests/install/use_wheel.py")))
    assert str(found.parent.parent) in said["package"]
    facts = said["facts"]
    assert facts["versions"]["torch"].startswith(version)
    assert facts["native"]["operators"] and facts["native"]["host_module"] and facts["native"]["build"]["cuda"]
    # libtorch_cuda alone knows torch's current stream: the one binary finds it there and does without elsewhere.
    assert said["stream"] == (not version.endswith("+cpu"))
    if facts["cuda_device"] is None:
        assert said["refusal"].startswith(
            "gan_loss: backend 'cuda' cannot run here: torch sees no CUDA device; available"
        )
    text = run(found, "-m", "fastgan", "info")
    assert f"torch {version}" in text
    assert "operators     yes  built with" in text and "host module   yes" in text
    assert re.search(r"CUDA [\d.]+ for 80;86;89;90;100;120", text)
    if facts["cuda_device"] is None:
        assert "cuda          no   torch sees no CUDA device" in text


def test_the_wheel_names_the_system_it_needs(wheel):
    assert re.fullmatch(r"fastgan-[\w.]+-cp\d+-cp\d+-manylinux_\d+_\d+_\w+\.whl", wheel.name)


def test_the_wheel_holds_the_package_alone(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names} == {"fastgan", wheel.name.partition("-cp")[0] + ".dist-info"}
    assert sum(name.endswith(".so") for name in names) == 3
    sources = {name for name in names if name.endswith((".cu", ".cuh", ".h", ".cpp"))}
    assert sources == {"fastgan/include/fastgan.h"}
    assert not [name for name in names if "cuda_host" in name or "tests/" in name]
