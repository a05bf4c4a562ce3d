"""What tests/cuda_host compiles is kept, apart from what comes from outside the repository, and mistakes are told."""

import fcntl
from concurrent.futures import ThreadPoolExecutor, TimeoutError
from pathlib import Path

import pytest

from . import build

SOURCE = '#include "value.h"\nextern "C" __attribute__((visibility("default"))) int value() { return VALUE; }\n'


@pytest.fixture
def outside(tmp_path, need) -> Path:
    """A kernel of nothing and a header, as a mutant has them."""
    need(build.compiler_missing(), "cc")
    (tmp_path / "csrc").mkdir()
    (tmp_path / "csrc/value.cu").write_text(SOURCE)
    (tmp_path / "csrc/value.h").write_text("#define VALUE 1\n")
    return tmp_path


def library(outside: Path, **options) -> tuple[Path, int, set[str]]:
    """The library, the file that it is, and the names of objects outside the repository."""
    csrc = outside / "csrc"
    made = build.library("value", [csrc / "value.cu"], csrc=csrc, folder=outside, **options)
    return made, made.stat().st_ino, {path.name for path in (outside / "objects").glob("*.o")}


def test_what_is_there_is_not_made_again(outside):
    assert library(outside) == library(outside)


def test_only_what_comes_from_outside_is_kept_outside(outside):
    before = set((build.FOLDER / "objects").glob("*value*"))
    made, _, objects = library(outside)
    assert made == outside / "value.so"
    assert [name.partition(".")[0].endswith("_csrc_value") for name in objects] == [True]
    assert set((build.FOLDER / "objects").glob("*value*")) == before
    assert list((build.FOLDER / "objects").glob("tests_cuda_host_block.cpp.*.o"))


def test_a_header_from_outside_makes_it_again(outside):
    _, before, objects = library(outside)
    (outside / "csrc/value.h").write_text("#define VALUE 2\n")
    _, after, same_names = library(outside)
    assert after != before and same_names == objects


def test_flags_and_versions_have_objects_of_their_own(outside):
    plain = library(outside)[2]
    versions = library(outside, tools="torch 1")[2] - plain
    flags = library(outside, flags=["-O1"])[2] - plain - versions
    assert (len(plain), len(versions), len(flags)) == (1, 1, 1)


def test_what_the_compiler_said_is_told(outside):
    (outside / "csrc/value.h").write_text("#error no value\n")
    with pytest.raises(RuntimeError, match=r"(?s)value\.cu.* failed:\n.*#error no value"):
        library(outside)


def test_a_build_waits_for_another(outside):
    build.FOLDER.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(max_workers=1) as pool:
        with (build.FOLDER / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            mine = pool.submit(library, outside)
            with pytest.raises(TimeoutError):
                mine.result(timeout=3)
            assert not (outside / "value.so").exists()
        assert mine.result()[0].is_file()
