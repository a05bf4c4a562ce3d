"""A wrong engine gets no speed but a sentence."""

import numpy as np
import pytest
import torch
from fastgan.bench import gate
from fastgan.bench.cases import Case
from fastgan.bench.engines import OURS, Backend
from fastgan.bench.engines.torch_eager import prepare
from fastgan.bench.options import Options
from fastgan.bench.race import race
from fastgan.bench.report import text
from fastgan.bench.suites import generator, train_step

TINY = Options(size=(16, 16), width=8, threads=1, batch=3, peers="none")
EAGER = Backend("eager", "torch_eager", ("generator",), options={"layout": "nchw"})


def answers(case, backend=EAGER):
    job, arrays = case.work_for(backend, 1, "passive")
    return prepare({**job, "options": backend.options}, arrays)


@pytest.mark.parametrize("classes", [0, 1], ids=["unconditional", "10-class"])
@pytest.mark.parametrize("form", ["stock", "folded"])
def test_a_right_generator_passes(classes, form):
    case = generator.cases(TINY)[classes]
    backend = Backend("x", "torch_eager", ("generator",), form=form, options={"layout": "nhwc"})
    verdict = gate.judge(answers(case, backend).check(), case.expected(case))
    assert verdict.complaint is None
    assert 0 < verdict.error < 1e-5


def test_bfloat16_is_refused():
    case = generator.cases(TINY)[0]
    engine = answers(case)
    engine.run, engine.inputs = engine.run.bfloat16(), [x.bfloat16() for x in engine.inputs]
    got = {"images": engine.call().float().numpy()}
    verdict = gate.judge(got, case.expected(case))
    assert "images differs from float64" in verdict.complaint


def test_a_forgotten_class_is_refused():
    case = generator.cases(TINY)[1]
    engine = answers(case)
    engine.inputs[1] = torch.zeros_like(engine.inputs[1])
    assert gate.judge(engine.check(), case.expected(case)).complaint


@pytest.mark.parametrize("r1", [0, 1], ids=["plain", "R1"])
def test_a_right_training_step_passes(r1):
    case = train_step.cases(TINY)[r1]
    verdict = gate.judge(answers(case).check(), case.expected(case))
    assert verdict.complaint is None


def test_every_block_of_steps_starts_from_the_same_state():
    engine = answers(train_step.cases(TINY)[0])
    first = engine.check()
    engine.call()
    engine.reset()
    again = engine.check()
    assert all((first[name] == again[name]).all() for name in first)


def test_a_missing_penalty_is_refused():
    case = train_step.cases(TINY)[1]
    engine = answers(case)
    engine.call.r1 = False
    assert gate.judge(engine.check(), case.expected(case)).complaint.startswith("wrong: d_loss")


@pytest.mark.parametrize("network", ["g", "d"])
def test_a_gradient_of_the_wrong_sign_is_refused(network):
    case = train_step.cases(TINY)[0]
    got, truth = answers(case).check(), case.expected(case)
    name = next(name for name in truth if name.startswith(f"update/{network}/"))
    assert name in gate.judge({**got, name: -got[name]}, truth).complaint


def test_a_step_too_long_is_refused():
    case = train_step.cases(TINY)[0]
    got, truth = answers(case).check(), case.expected(case)
    name = next(name for name in truth if name.startswith("update/"))
    assert name in gate.judge({**got, name: 1.01 * got[name]}, truth).complaint


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda images: images * np.nan, "is not finite"),
        (lambda images: images[:, :, :2], "is [1, 3, 2, 4], not [1, 3, 4, 4]"),
        (lambda images: np.where(images == images.max(), images + 3e-4, images), "differs from float64 by 3.0e-04"),
    ],
    ids=["nan", "shape", "one pixel"],
)
def test_spoilt_images_are_refused(images, spoil, said):
    assert gate.judge(images, images).complaint is None
    assert gate.judge({"images": spoil(images["images"])}, images).complaint.startswith(f"wrong: images {said}")


def test_an_output_that_is_missing_is_refused(images):
    assert "images is missing" in gate.judge({}, images).complaint


def raced(engines, images, rounds=2):
    case = Case("generator", "unconditional", 8, "generator", {}, {}, {}, 1000, lambda case: images)
    records, machine = [], {"versions": {}, "fma_gflops": 100.0}
    race(case, {e.backend.name: e for e in engines}, TINY, rounds, "passive", machine, records, lambda said: None)
    return {record["backend"]: record for record in records}


def test_a_red_gate_prints_no_speed_but_the_reason(fake_engine, images):
    turns = []
    wrong = {"images": images["images"] + 0.01}
    engines = [
        fake_engine(OURS, turns, images, [0.1]),
        fake_engine("wrong", turns, wrong, [0.001]),
        fake_engine("broken", turns, fails="ImportError: no such thing"),
        fake_engine("right", turns, images, [0.2]),
    ]
    records = raced(engines, images)
    assert set(turns) == {OURS, "right"}
    assert records["wrong"]["img_per_s"] is None
    assert records["wrong"]["refused"].startswith("wrong: images differs from float64")
    assert records["broken"]["refused"] == "cannot run: ImportError: no such thing"
    assert records[OURS]["best_peer"] == "right"
    assert records[OURS]["ratio_to_best_peer"] == pytest.approx(2.0)
    assert records[OURS]["img_per_s"]["p50"] == pytest.approx(80.0)
    assert records[OURS]["roofline_fraction"] == pytest.approx(80 * 1000 / 1e11)


def test_the_table_shows_the_reason_where_a_speed_would_be(fake_engine, images):
    records = raced([fake_engine(OURS, [], images), fake_engine("broken", [], fails="no such thing")], images)
    machine = dict.fromkeys(
        ("cpu", "threads", "capability", "fma_gflops", "load_before", "load_after", "python", "system", "commit")
    )
    machine |= {"triad_gb_per_s": 1.0, "versions": {}}
    result = {"machine": machine, "records": list(records.values()), "notes": [], "interrupted": False}
    row = next(line for line in text(result).splitlines() if "broken" in line)
    assert row.split() == ["broken", "cannot", "run:", "no", "such", "thing"]


def test_an_interruption_keeps_the_finished_rounds(fake_engine, images):
    records, machine = [], {"versions": {}, "fma_gflops": None}
    engines = {OURS: fake_engine(OURS, [], images, [0.1, None]), "b": fake_engine("b", [], images, [0.2])}
    case = Case("generator", "unconditional", 8, "generator", {}, {}, {}, 1000, lambda case: images)
    with pytest.raises(KeyboardInterrupt):
        race(case, engines, TINY, 5, "passive", machine, records, lambda said: None)
    assert [record["img_per_s"]["p50"] for record in records] == [pytest.approx(80.0), pytest.approx(40.0)]
