"""The machinery of the day there is a GPU, without one: its records, its page, and a dry run of the whole."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cuda_host import build
from support.processes import run_python

from .__main__ import LABEL, begun
from .page import page
from .stages import SANITIZED, counted

ROOT = Path(__file__).resolve().parents[2]

REPORT = """<testsuites><testsuite>
<testcase classname="gpu.test_a" name="right"/>
<testcase classname="gpu.test_a" name="wrong"><failure message="error is 3\nmore">trace</failure></testcase>
<testcase classname="gpu.test_a" name="broken"><error message="no device"/></testcase>
<testcase classname="gpu.test_a" name="absent"><skipped message="no triton"/></testcase>
</testsuite></testsuites>"""


def test_a_report_of_pytest_is_counted(tmp_path):
    path = tmp_path / "report.xml"
    path.write_text(REPORT.replace("\nmore", "&#10;more"))
    counts, failures = counted(path)
    assert counts == {"tests": 4, "failed": 2, "skipped": 1}
    assert [each["said"] for each in failures] == ["error is 3", "no device"]
    assert counted(tmp_path / "nothing.xml")[0]["tests"] == 0


def test_what_sanitizers_see_is_what_a_dry_run_tries():
    for path in SANITIZED:
        assert "pytest.mark.stand_in]" in (ROOT / path).read_text()


def test_a_dry_run_and_a_day_are_never_mixed(tmp_path):
    path = tmp_path / "results.json"
    day = begun(path, dry=False)
    day["stages"]["tune"] = {"seconds": 1}
    path.write_text(json.dumps(day))
    assert begun(path, dry=False) == day
    assert begun(path, dry=True)["stages"] == {}
    path.write_text('{"format": "cut o')
    assert begun(path, dry=False)["stages"] == {}


def stage(name: str, **changes) -> dict:
    made = {"name": name, "title": f"The {name}", "state": "passed", "seconds": 1.0, "said": "well", "details": {}}
    return made | changes


def test_the_page_says_what_failed():
    failed = stage("numerics", state="failed", details={"failures": [{"name": "gpu::a<b", "said": "x & y"}]})
    result = {"label": None, "dry_run": False, "begun": "today", "stages": {"a": stage("a"), "numerics": failed}}
    text = page(result)
    assert "Failed: The numerics." in text
    assert "gpu::a&lt;b: x &amp; y" in text
    assert "dry run" not in text.lower() and "Stand-in" not in text


@pytest.mark.cuda_host
@pytest.mark.timeout(900)  # it may build the library
def test_numbers_of_the_cuda_kernels_need_no_triton(tmp_path):
    report = tmp_path / "report.xml"
    chosen = "-m", "gpu and stand_in", "-k", "passes_in_cuda or losses and cuda and hinge"
    arguments = ["tests/gpu", *chosen, f"--junitxml={report}"]
    code = f"""
import os, sys
sys.modules["triton"] = None
import pytest
os.chdir({str(ROOT)!r})
sys.exit(pytest.main({arguments}))
"""
    dry = {"FASTGAN_GPU_DRY_RUN": "1", "TRITON_INTERPRET": "1", "FASTGAN_CUDA_HOST": str(build.operators())}
    run_python(code, PYTHONPATH=os.pathsep.join([str(ROOT / "tests"), str(ROOT)]), **dry)
    counts, _ = counted(report)
    assert counts["tests"] > 4 and counts["skipped"] == 0


@pytest.mark.slow
@pytest.mark.cuda_host
@pytest.mark.timeout(1200)
def test_a_dry_run_does_every_stage_and_says_what_it_is(tmp_path, need):
    need(None if importlib.util.find_spec("triton") else "triton is not installed", "triton")
    out = tmp_path / "day"
    for part in ("check", "bench"):
        command = [sys.executable, "-m", "tests.gpu_day", part, "--dry-run", "--out", str(out)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert LABEL in done.stderr
    result = json.loads((out / "results.json").read_text())
    assert result["dry_run"] and result["label"] == LABEL
    states = {name: stage["state"] for name, stage in result["stages"].items()}
    sanitizers = {"memcheck", "racecheck", "synccheck", "initcheck"}
    assert {name for name, state in states.items() if state == "left out"} == sanitizers
    assert {"device", "numerics", "tune", "generator-fp16", "train-step-fp16", "floors"} == set(states) - sanitizers
    numerics = result["stages"]["numerics"]["details"]
    assert numerics["tests"] > 4 and numerics["skipped"] == 0  # both kinds of kernels have stood in
    assert len(result["stages"]["floors"]["details"]["steps"]) == 2
    text = (out / "report.html").read_text()
    assert text.count(LABEL) >= 4
    assert "Measured" not in text
