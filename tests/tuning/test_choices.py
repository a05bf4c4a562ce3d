"""What `auto` does with a table: by class of shapes, by operator, by model, and in compiled code."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from fastgan import backends, losses, tuned
from fastgan.models import Discriminator, Generator
from fastgan.tuning.cases import cases
from fastgan.tuning.timing import BEYOND_NOISE

CPU = torch.device("cpu")


def test_every_operator_was_measured(measured):
    names = {"affine_act", "affine_act_conv2d", "affine_act_conv_transpose2d"}
    names |= {f"{name}_backward" for name in names}
    names |= {"gan_loss", "gan_loss_paired", "discriminator_loss", "generator_loss"}
    assert {each.operator for each in measured.entries} == names
    for entry in measured.entries:
        assert entry.passed, entry
        assert entry.ours > 0 and entry.aten > 0 and entry.least <= entry.speedup
        assert (entry.chosen == "cpu") == (entry.speedup >= BEYOND_NOISE and entry.least >= 1)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_a_call_asks_for_the_class_that_was_measured(measured, choosing, small, backend):
    """Prepared and called as it was when it was timed, but on auto."""
    asked = {case for case in cases(small) if case.operator.startswith("affine_act")}
    with backends.use_backend("auto"), tuned.using(choosing(measured, backend)):
        for case in asked:
            with backends.record() as runs:
                case.prepare(CPU, torch.float32, False)()
            assert (case.operator, backend) in {(run.op, run.backend) for run in runs}, case


def test_each_class_has_its_own_choice(measured, choosing):
    first, second, *_ = (each for each in measured.entries if each.operator == "affine_act_conv2d")
    entries = (first._replace(chosen="cpu"), second._replace(chosen="reference"))
    with tuned.using(replace(measured, entries=entries)):
        ran = [
            backends.choose("affine_act_conv2d", "cpu", torch.float32, lambda c=c: c)
            for c in (first.shape_class, second.shape_class, "7x7 stride 9", "")
        ]
    assert ran == ["cpu", "reference", "reference", "reference"]


def test_a_precision_that_was_not_measured_is_the_reference(measured, choosing):
    with tuned.using(choosing(measured, "cpu")):
        entry = measured.entries[0]
        chosen = [
            backends.choose(entry.operator, "cpu", dtype, lambda: entry.shape_class)
            for dtype in (torch.float32, torch.bfloat16, torch.float64)
        ]
    assert chosen == ["cpu", "reference", "reference"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([{}, {}], "cpu"),
        ([{}, {"chosen": "reference", "speedup": 0.96}], "cpu"),
        ([{}, {"chosen": "reference", "speedup": 0.94}], "reference"),
        ([{}, {"chosen": "reference", "passed": False, "speedup": None}], "reference"),
        ([{"chosen": "reference", "speedup": 1.04}] * 2, "reference"),
    ],
    ids=["all-faster", "one-even", "one-slower", "one-failed", "none-faster"],
)
def test_an_operator_without_shapes_is_decided_by_all(measured, choosing, changes, expected):
    entry = next(each for each in choosing(measured, "cpu").entries if each.operator == "gan_loss")
    entries = tuple(entry._replace(shape_class=str(i), **change) for i, change in enumerate(changes))
    with tuned.using(replace(measured, entries=entries)), backends.record() as runs:
        losses.gan_loss(torch.zeros(4), torch.zeros(4))
    assert [run.backend for run in runs] == [expected]


def test_the_operators_that_auto_takes_are_those_of_the_table(measured, choosing):
    with tuned.using(choosing(measured, "reference")):
        before = backends.auto_takes("cpu")
    with tuned.using(choosing(measured, "cpu")):
        after = backends.auto_takes("cpu")
    assert {"generator_loss", "discriminator_loss", "gan_loss_paired"} <= set(after) - set(before)


def test_a_table_of_another_kind_of_device_decides_nothing(measured, choosing):
    with tuned.using(replace(choosing(measured, "cpu"), device_type="cuda")):
        assert tuned.current("cpu") is None
        assert backends.choose("generator_loss", "cpu", torch.float32) == "reference"


def test_a_table_cannot_name_a_backend_that_does_not_run_there(measured, choosing):
    table = replace(choosing(measured, "cpu"), device_type="cuda")
    precision = tuned.precision_of("cuda", torch.float32)
    table = replace(table, entries=tuple(each._replace(precision=precision) for each in table.entries))
    assert table.choice("gan_loss", precision, None) == "cpu"
    with tuned.using(table):
        assert backends.choose("gan_loss", "cuda", torch.float32) == "reference"


def test_float32_is_two_precisions_on_a_gpu():
    before = torch.backends.cudnn.conv.fp32_precision
    names = []
    try:
        for torch.backends.cudnn.conv.fp32_precision in ("tf32", "ieee"):
            names += [tuned.precision_of(device, torch.float32) for device in ("cuda", "cpu")]
    finally:
        torch.backends.cudnn.conv.fp32_precision = before
    assert names == ["tf32", "fp32", "fp32", "fp32"]


def test_what_is_forced_goes_before_the_table(measured, choosing):
    with tuned.using(choosing(measured, "cpu")), backends.use_backend("reference"):
        assert backends.choose("gan_loss", "cpu", torch.float32) == "reference"


def operators_of_a_forward_pass(model: nn.Module, dtype: torch.dtype) -> set[str]:
    with backends.record() as runs, torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        model(torch.zeros(2, 1, 8, 8))
    return {run.op for run in runs}


def test_models_run_on_chains_at_the_precisions_that_pay(measured, choosing):
    model = Discriminator((8, 8), 1, width=8, preset="dcgan")  # begins with a map in float32, also under autocast
    for chains in ((), ("fp32",), ("bf16",)):
        with tuned.using(choosing(measured, "cpu", chains)):
            ran = {
                name: operators_of_a_forward_pass(model, dtype)
                for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16))
            }
        assert tuple(name for name in ran if "affine_act_conv2d" in ran[name]) == chains


def test_compiled_code_has_the_choice_as_a_constant(measured, choosing):
    model = Generator((8, 8), 1, width=8)

    def step(z, real):
        with torch.autocast("cpu", torch.bfloat16):
            images = model(z)
        return losses.gan_loss(real, images.float().mean((1, 2, 3))).d_loss

    z, real = torch.zeros(2, 100), torch.zeros(2)
    with tuned.using(choosing(measured, "cpu", ("bf16",))):
        torch._dynamo.reset()
        compiled = torch.compile(step, fullgraph=True, backend="aot_eager")
        with backends.record() as runs:
            torch.testing.assert_close(compiled(z, real), step(z, real))
    ran = [run.op for run in runs if run.backend == "cpu"]
    assert ran.count("gan_loss") == 2  # in compiled code, and not
