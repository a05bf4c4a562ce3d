"""The lists of sources name what is in csrc, all of it, and need no package to be read."""

import subprocess
import sys
from pathlib import Path

from building import sources
from building.flags import cxx_flags

ROOT = Path(__file__).resolve().parents[2]
LISTS = [sources.CPU_SOURCES, sources.CUDA_SOURCES, sources.TORCH_SOURCES, sources.HOST_SOURCES, sources.C_API_SOURCES]


def test_every_source_is_built_and_each_once_in_a_list():
    found = {str(path.relative_to(ROOT)) for path in (ROOT / "csrc").rglob("*") if path.suffix in (".cpp", ".cu")}
    assert {source for each in LISTS for source in each} == found
    assert all(len(each) == len(set(each)) for each in LISTS)


def test_products_are_fused_where_they_are_summed_and_nowhere_else():
    fused = {source for source in sources.CPU_SOURCES if "-ffp-contract=fast" in cxx_flags(source)}
    assert fused == set(sources.FUSED_SOURCES) and len(fused) == 9
    assert "csrc/cpu/affine_act_avx2.cpp" not in fused and "csrc/cpu/affine_act_conv_gradients.cpp" not in fused


def test_a_program_without_packages_can_read_them():
    """tests/cpu_program/build.py does, where there is neither torch nor setuptools."""
    code = "import sys; sys.path.append('.'); import building.flags, building.objects, building.tools; print('read')"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("read\n", "")
