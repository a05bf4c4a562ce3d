"""An object is made again where it could come out different, and only there; so is what is linked of them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from building.objects import BuildError, Job, Objects, dependencies

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
    with pytest.raises(BuildError, match=r"(?s)^c\+\+ .* failed:\n.*error no"):
        make(project)
    (project / "number.h").write_text("#define NUMBER 1\n")
    assert not make(project).reused
    made.path.unlink()
    assert not make(project).reused
    made.path.with_suffix(".json").write_text('{"files"')
    assert not make(project).reused


def test_a_source_from_outside_is_named_by_its_whole_path(project, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    shutil.copy(project / "number.cpp", outside)
    shutil.copy(project / "with space.h", outside)
    (outside / "number.h").write_text("#define NUMBER 7\n")

    def made(value: str):
        store = Objects(project / "objects", project, lambda said: None)
        return store.make(Job(value, ("c++", f"-I{outside}"), ""))

    inner, outer = made("number.cpp"), made(str(outside / "number.cpp"))
    assert inner.path != outer.path and inner.path.parent == outer.path.parent
    assert made(str(outside / "number.cpp")).reused
    (outside / "number.h").write_text("#define NUMBER 8\n")
    assert made("number.cpp").reused and not made(str(outside / "number.cpp")).reused


def link(project: Path, *libraries: str) -> bool:
    store = Objects(project / "objects", project, lambda said: None)
    made = store.make(Job("number.cpp", ("c++", "-I.", "-fPIC"), ""))
    return store.link(project / "number.so", ("c++", "-shared"), [made], libraries)


def number(project: Path) -> int:
    """What the library says, in a process that has not loaded the one before."""
    code = "import ctypes, sys; print(ctypes.CDLL(sys.argv[1])._Z6numberv())"
    return int(subprocess.check_output([sys.executable, "-c", code, str(project / "number.so")]))


def test_a_library_is_linked_again_where_an_object_or_the_command_changed(project):
    assert [link(project), link(project)] == [True, False]
    assert [link(project, "-lm"), link(project, "-lm")] == [True, False]
    assert number(project) == 2
    (project / "number.h").write_text("#define NUMBER 1 + 0\n")  # the same object comes out
    assert not link(project, "-lm")
    (project / "number.h").write_text("#define NUMBER 4\n")
    assert link(project, "-lm") and number(project) == 5
    (project / "number.so").unlink()
    assert link(project, "-lm")


def test_the_library_of_before_stays_whole_for_whom_has_it(project):
    link(project)
    with (project / "number.so").open("rb") as loaded:
        before = loaded.read()
        (project / "number.h").write_text("#define NUMBER 4\n")
        link(project)
        loaded.seek(0)
        assert loaded.read() == before != (project / "number.so").read_bytes()


def test_a_link_that_failed_leaves_the_library_of_before(project):
    link(project)
    with pytest.raises(BuildError, match=r"no_such_library"):
        link(project, "-lno_such_library")
    assert number(project) == 2
    assert not link(project)


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
