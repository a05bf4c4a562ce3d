"""An object is made again where it could come out different, and only there."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from building.objects import Job, Objects, dependencies

SOURCE = '#include "number.h"\n#include "with space.h"\nint number() { return NUMBER + kOther; }\n'


@pytest.fixture
def project(tmp_path, need) -> Path:
    need(None if shutil.which("c++") else "no C++ compiler", "cc")
    (tmp_path / "number.cpp").write_text(SOURCE)
    (tmp_path / "number.h").write_text("#define NUMBER 1\n")
    (tmp_path / "with space.h").write_text("constexpr int kOther = 1;\n")
    return tmp_path


def make(project: Path, *flags: str, tools: str = "some compiler"):
    """As a build of its own: nothing is remembered but what lies on the disk."""
    store = Objects(project / "objects", project, lambda said: None)
    return store.make(Job("number.cpp", ("c++", "-I.", *flags), tools))


def test_nothing_changed(project):
    first, second = make(project), make(project)
    assert (first.reused, second.reused) == (False, True)
    assert first.path == second.path


def test_what_the_compiler_said_is_kept(project):
    with (project / "number.cpp").open("a") as source:
        source.write("static int unused() { return 0; }\n")
    first, second = make(project, "-Wall"), make(project, "-Wall")
    assert "unused" in first.said
    assert (second.reused, second.said) == (True, first.said)


def test_a_new_time_without_new_content_changes_nothing(project):
    make(project)
    for path in project.glob("*number*"):
        os.utime(path, (2e9, 2e9))
    assert make(project).reused


@pytest.mark.parametrize("name", ["number.cpp", "number.h", "with space.h"])
def test_new_content_makes_it_again(project, name):
    first = make(project).path.read_bytes()
    path = project / name
    before = path.stat()
    path.write_text(path.read_text().replace("1", "2").replace("+", "*"))
    os.utime(path, (before.st_atime, before.st_mtime))
    again = make(project)
    assert not again.reused
    assert again.path.read_bytes() != first


def test_flags_and_tools_have_objects_of_their_own(project):
    plain, other = make(project), make(project, "-DOTHER")
    assert plain.path != other.path
    assert not make(project, tools="another compiler").reused
    assert make(project).reused and make(project, "-DOTHER").reused


def test_a_header_that_is_gone_makes_it_again(project):
    make(project)
    (project / "number.cpp").write_text("int number() { return 3; }\n")
    (project / "number.h").unlink()
    assert not make(project).reused
    assert make(project).reused


def test_a_build_that_failed_or_was_cut_off_leaves_nothing_that_counts(project):
    made = make(project)
    (project / "number.h").write_text("#error no\n")
    with pytest.raises(SystemExit, match=r"(?s)error no.*FASTGAN_BUILD=none"):
        make(project)
    (project / "number.h").write_text("#define NUMBER 1\n")
    assert not make(project).reused
    made.path.unlink()
    assert not make(project).reused
    made.path.with_suffix(".json").write_text('{"files"')
    assert not make(project).reused


def test_dependencies_of_a_rule():
    said = "a.o: a.cpp \\\n  /usr/in\\ clude/b.h\\\n c.h\n"
    assert dependencies(said) == ["a.cpp", "/usr/in clude/b.h", "c.h"]
    nvcc = "build/a.o : a.cu \\\n    b.h\n"
    assert dependencies(nvcc) == ["a.cu", "b.h"]


def test_the_settings_of_nvcc_name_what_they_read(project, need):
    nvcc = shutil.which("nvcc")
    need(None if nvcc else "nvcc was not found", "nvcc")
    (project / "kernel.cu").write_text('#include "number.h"\n__global__ void kernel(int* x) { *x = NUMBER; }\n')
    store = Objects(project / "objects", project, lambda said: None)
    job = Job("kernel.cu", (nvcc, "-gencode=arch=compute_80,code=sm_80"), "", ("--threads", "1"))
    made = store.make(job)
    named = dependencies(made.path.with_suffix(".d").read_text())
    assert {"kernel.cu", "number.h"} <= set(named)
    assert subprocess.run(["nm", made.path], capture_output=True).returncode == 0
