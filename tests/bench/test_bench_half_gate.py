"""The gate at half precision: what real computations in fp16 and bf16 pass, and what is still refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from fastgan.bench import gate
from fastgan.bench.engines import Backend, torch_eager
from fastgan.bench.options import Options
from fastgan.bench.suites import generator, ops, train_step

SMALL = Options(size=(32, 32), width=16, threads=1, batch=8)
HALVES = ("fp16", "bf16")
EAGER = Backend("eager", "torch_eager", ("generator",), options={"layout": "nchw"})


def case_at(precision, suite=train_step, which=0):
    return replace(suite.cases(SMALL)[which], precision=precision)


def engine_of(case):
    job, arrays = case.work_for(EAGER, 1, "passive")
    return torch_eager.prepare({**job, "options": EAGER.options}, arrays)


def complaint(case, got):
    return gate.judge(got, case.expected(case), case.tolerance).complaint


@pytest.mark.parametrize(
    ("suite", "computed", "asked"),
    [
        pytest.param(generator, "bf16", "fp16", id="images-bf16-fp16"),
        pytest.param(generator, "fp16", "fp32", id="images-fp16-fp32"),
        pytest.param(train_step, "fp16", "fp32", id="step-fp16-fp32"),
        pytest.param(train_step, "bf16", "fp32", id="step-bf16-fp32"),
    ],
)
def test_a_lower_precision_is_refused(suite, computed, asked):
    got = engine_of(case_at(computed, suite)).check()
    assert complaint(case_at(computed, suite), got) is None
    assert complaint(case_at(asked, suite), got)


@pytest.mark.parametrize("precision", HALVES)
def test_a_forgotten_class_is_refused(precision):
    case = case_at(precision, generator, 1)
    engine = engine_of(case)
    engine.inputs[1] = torch.zeros_like(engine.inputs[1])
    assert complaint(case, engine.check())


@pytest.mark.parametrize("precision", HALVES)
def test_a_batch_norm_with_another_epsilon_is_refused(precision):
    case = case_at(precision, generator)
    engine = engine_of(case)
    for module in engine.run.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 0.1
    assert complaint(case, engine.check())


@pytest.mark.parametrize("precision", HALVES)
def test_a_missing_penalty_is_refused(precision):
    case = case_at(precision, which=1)
    engine = engine_of(case)
    engine.step.r1 = False
    assert complaint(case, engine.check()).startswith("wrong: d_loss")


@pytest.mark.parametrize("precision", HALVES)
@pytest.mark.parametrize("spoil", [lambda u: -u, lambda u: 0 * u, lambda u: 1.05 * u], ids=["sign", "still", "long"])
@pytest.mark.parametrize("network", ["g", "d"])
def test_a_wrong_step_is_refused(network, spoil, precision):
    case = case_at(precision)
    got, truth = engine_of(case).check(), case.expected(case)
    largest = max((name for name in truth if name.startswith(f"update/{network}/")), key=lambda name: truth[name].size)
    assert gate.judge({**got, largest: spoil(got[largest])}, truth, case.tolerance).complaint.startswith(
        f"wrong: {largest} differs"
    )


@pytest.mark.parametrize("precision", HALVES)
@pytest.mark.parametrize("size", [1, 2, 3, 64])
def test_small_parameters_may_stray_but_not_turn_round(size, precision):
    truth, allowed = {"update/x": np.full(size, 1e-4)}, gate.tolerance(precision)
    turned = truth["update/x"].copy()
    turned[0] *= -1
    assert (gate.judge({"update/x": turned}, truth, allowed).complaint is None) == (size > 1)
    assert gate.judge({"update/x": -truth["update/x"]}, truth, allowed).complaint
    assert gate.judge({"update/x": turned}, truth).complaint


def test_many_small_errors_are_seen_where_one_large_one_is_not():
    allowed = gate.tolerance("fp16")
    images = np.linspace(-1, 1, 300).reshape(1, 3, 10, 10)
    one = images.copy()
    one.flat[7] += 1e-2
    assert gate.judge({"images": one}, {"images": images}, allowed).complaint is None
    said = gate.judge({"images": images + 1e-2}, {"images": images}, allowed).complaint
    assert said == "wrong: images differs from float64 by 1.7e-02 by norm (2.5e-03 is allowed)"


@pytest.mark.parametrize("precision", HALVES)
def test_one_operator_is_held_to_its_roundings(precision):
    case = replace(ops.cases(replace(SMALL, suite="ops"))[0], precision=precision)
    allowed, network = case.tolerance, gate.tolerance(precision)
    assert allowed.largest < network.largest / 5 and allowed.norm < network.norm / 2
    assert gate.tolerance("fp32", operator=True) == gate.tolerance("fp32")


def test_no_step_in_fp16_is_skipped():
    """The first scale of the losses overflows nothing: it would be halved, and the step left out."""
    engine = engine_of(case_at("fp16", which=1))
    before = engine.step.scaler.get_scale()
    for _ in range(4):
        engine.call()
    assert engine.step.scaler.get_scale() == before
