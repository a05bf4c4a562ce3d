"""nvcc is found, not assumed: behind links and scripts, in NVIDIA's packages; and what a toolkit lacks is named."""

import os
import shlex
import shutil
import stat
from pathlib import Path

import pytest

from building import tools


@pytest.fixture(scope="module")
def real(need) -> tools.Toolkit:
    toolkit, reason = tools.find_cuda()
    need(reason or None, "nvcc")
    return toolkit


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """machine(PATH, site packages) sees no nvcc but those there: its own folders of toolkits are not looked at."""

    def make(path: Path | None = None, site: Path | None = None) -> None:
        for name in ("CUDA_HOME", "CUDA_PATH"):
            monkeypatch.delenv(name, raising=False)
        (tmp_path / "empty").mkdir()
        tools_of_the_compiler = "/usr/bin:/bin"
        monkeypatch.setenv("PATH", f"{path or tmp_path / 'empty'}:{tools_of_the_compiler}")
        monkeypatch.setattr(tools.sys, "path", [str(site or tmp_path / "empty")])
        monkeypatch.setattr(tools, "USUAL_FOLDERS", tmp_path / "empty")

    if Path("/usr/bin/nvcc").exists():
        pytest.fail("this test needs a machine whose nvcc is not in /usr/bin")
    return make


def script(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_a_script_on_path_that_starts_another(real, machine, tmp_path):
    script(tmp_path / "bin/nvcc", f'exec {shlex.quote(str(real.top / "bin/nvcc"))} "$@"')
    machine(tmp_path / "bin")
    toolkit, _ = tools.find_cuda()
    assert (toolkit.top, toolkit.libraries, toolkit.version) == (real.top, real.libraries, real.version)
    assert toolkit.ptxas.samefile(real.top / "bin/ptxas") and toolkit.nvcc == tmp_path / "bin/nvcc"
    assert {"80", "90"} <= set(toolkit.codes)


def test_a_link_on_path(real, machine, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/nvcc").symlink_to(real.top / "bin/nvcc")
    machine(tmp_path / "bin")
    toolkit, _ = tools.find_cuda()
    assert (toolkit.top, toolkit.libraries) == (real.top, real.libraries)


@pytest.fixture
def packages(real, tmp_path) -> Path:
    """site-packages with the toolkit where NVIDIA's packages have it: nvidia/cu13, of links to the real one."""
    home = tmp_path / "site/nvidia/cu13"
    (home / "bin").mkdir(parents=True)
    for path in (real.top / "bin").iterdir():
        # nvcc looks for its parts beside the file that it is, and links are followed to that.
        (shutil.copy if path.name == "nvcc" else os.symlink)(path, home / "bin" / path.name)
    for name in ("include", "nvvm", "lib", "targets"):
        if (real.top / name).exists():
            (home / name).symlink_to(real.top / name)
    return tmp_path / "site"


def test_the_packages_from_pypi(packages, machine):
    machine(site=packages)
    toolkit, reason = tools.find_cuda()
    assert not reason
    assert (toolkit.top, toolkit.ptxas) == (packages / "nvidia/cu13", packages / "nvidia/cu13/bin/ptxas")


def test_packages_without_the_runtime_are_not_enough(packages, machine):
    home = packages / "nvidia/cu13"
    for name in ("lib", "targets"):
        (home / name).unlink(missing_ok=True)
    machine(site=packages)
    toolkit, reason = tools.find_cuda()
    assert toolkit is None
    assert reason.startswith(f"{home}/bin/nvcc is there, but not ")


def test_what_is_broken_is_left_for_the_next(packages, machine, tmp_path):
    script(tmp_path / "bin/nvcc", "echo no driver of compilers; exit 1")
    machine(tmp_path / "bin", packages)
    toolkit, _ = tools.find_cuda()
    assert toolkit.top == packages / "nvidia/cu13"
    assert tools.examine(tmp_path / "bin/nvcc") == (None, f"{tmp_path}/bin/nvcc does not run: no driver of compilers")


def test_cuda_home_is_the_only_place(packages, machine, monkeypatch, tmp_path):
    machine(site=packages)
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "nowhere"))
    assert tools.find_cuda() == (None, f"no nvcc was found (looked in {tmp_path / 'nowhere'})")
    monkeypatch.setenv("CUDA_HOME", str(packages / "nvidia/cu13"))
    toolkit, _ = tools.find_cuda()
    assert toolkit.nvcc == packages / "nvidia/cu13/bin/nvcc"


def test_none_at_all(machine):
    machine()
    toolkit, reason = tools.find_cuda()
    assert toolkit is None
    assert reason.startswith("no nvcc was found (looked in PATH, ")
