"""The header and the library as a C compiler and a linker see them, and the two ways to build the library."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from c_library import ROOT, flags

from building.flags import C_API_LINK, CXX_FLAGS
from building.sources import C_API_SOURCES, FUSED_SOURCES
from fastgan.cli.app import run as command
from fastgan.cli.c_api import HEADER, LIBRARY

DECLARED = re.compile(r"^FASTGAN_EXPORT [\w* ]*?(fastgan_\w+)\(", re.MULTILINE)
STRICT = ["-Wall", "-Wextra", "-Werror", "-pedantic"]


def said(*arguments: str) -> str:
    return subprocess.run(arguments, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(
    ("compiler", "options"),
    [
        ("cc", ["-std=c99", "-x", "c", "-Wstrict-prototypes", "-Wmissing-prototypes"]),
        ("cc", ["-std=c11", "-x", "c", "-Wconversion"]),
        ("c++", ["-std=c++98", "-x", "c++", "-Wno-long-long", "-Wno-variadic-macros"]),
        ("c++", ["-std=c++17", "-x", "c++", "-Wold-style-cast"]),
    ],
    ids=["C99", "C11", "C++98", "C++17"],
)
def test_the_header_is_clean(compiler, options, need):
    need(None if shutil.which(compiler) else f"there is no {compiler}", "cc")
    text = "#include <fastgan.h>\n#include <fastgan.h>\nint main(void) { return fastgan_c_version() == 0; }\n"
    done = subprocess.run(
        [compiler, *options, *STRICT, f"-I{HEADER.parent}", "-fsyntax-only", "-"],
        input=text,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_example_of_the_docs_compiles(compiler):
    (block,) = re.findall(r"```c\n(.*?)```", (ROOT / "docs/c-api.md").read_text(), re.DOTALL)
    include, body = block.split("\n\n", 1)
    standard = "#include <stdio.h>\n#include <stdlib.h>\n"
    text = (
        f"{include}\n{standard}int main(void) {{ const uint64_t seed = 0;\n{body}free(pixels), free(z); return 0; }}\n"
    )
    command = [compiler, "-std=c99", "-x", "c", *STRICT, *flags("--cflags"), "-fsyntax-only", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_library_shows_the_header_and_nothing_else(library, need):
    need(None if shutil.which("nm") else "there is no nm", "binutils")
    lines = said("nm", "-D", "--defined-only", str(LIBRARY)).splitlines()
    shown = {line.split()[2].partition("@@")[0] for line in lines if line.split()[1] != "A"}
    assert shown == set(DECLARED.findall(HEADER.read_text())) and len(shown) == 14


def test_the_library_needs_neither_torch_nor_python(library, need):
    need(None if shutil.which("readelf") else "there is no readelf", "binutils")
    needed = re.findall(r"\(NEEDED\).*\[(\S+)\]", said("readelf", "-d", str(LIBRARY)))
    system = r"(libstdc\+\+|libc\+\+|libm|libgcc_s|libc|libpthread|ld-linux[-\w]*)\.so\.\d+"
    assert needed and all(re.fullmatch(system, name) for name in needed), needed


def test_the_version_of_the_library_is_that_of_the_header(library):
    assert f"#define FASTGAN_C_VERSION {library.version}\n" in HEADER.read_text()


def test_the_flags_are_those_of_this_package(library, capsys):
    folder = LIBRARY.parent
    libs = [f"-L{folder}", f"-Wl,-rpath,{folder}", "-lfastgan"]
    assert flags("--cflags") == [f"-I{HEADER.parent}"]
    assert flags("--libs") == libs
    assert flags() == flags("--cflags", "--libs") == [f"-I{HEADER.parent}", *libs]
    assert command(["c-api", "--json"]) == 0
    assert f'"library": "{LIBRARY}"' in capsys.readouterr().out


def test_without_the_library_the_flags_are_a_sentence(monkeypatch, capsys):
    monkeypatch.setattr("fastgan.cli.c_api.LIBRARY", Path("/nonexistent/libfastgan.so"))
    assert command(["c-api"]) == 1
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.count("\n") == 1
    assert "the library of the C API was not built" in shown.err and "make c-api" in shown.err


def test_make_builds_what_setup_builds(need, tmp_path):
    """From what `make c-api` would run in a tree where nothing is built: same sources, flags and link."""
    need(None if shutil.which("make") else "there is no make", "make")
    dry = said("make", "-s", "-n", "-B", "-C", str(ROOT), "-f", "csrc/c_api/library.mk", "CXX=the-compiler", "c-api")
    commands = [shlex.split(line) for line in dry.splitlines() if line.startswith("the-compiler ")]
    compiled = {words[words.index("-c") + 1]: words for words in commands if "-c" in words}
    (linked,) = (words for words in commands if "-shared" in words)
    assert sorted(compiled) == sorted(C_API_SOURCES)
    for source, words in compiled.items():
        used = [word for word in words[1 : words.index("-c")] if word not in ("-MMD", "-Ifastgan/include")]
        fused = ["-ffp-contract=fast"] if source in FUSED_SOURCES else []
        assert sorted(used) == sorted(CXX_FLAGS + fused), source
    assert [word for word in linked if word.startswith("-Wl,") or word == "-pthread"] == C_API_LINK
    assert len([word for word in linked if word.endswith(".o")]) == len(compiled)


def test_the_default_goal_of_make_is_help(need):
    need(None if shutil.which("make") else "there is no make", "make")
    assert "c-api  " in said("make", "-s", "-C", str(ROOT), f"PYTHON={sys.executable}")
