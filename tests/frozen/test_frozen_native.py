"""The native leaf trusts no program: what would reach outside its tensors is refused."""

import pytest
import torch
from frozen_models import inputs, make
from support import cuda_host
from torch import nn

import fastgan
from fastgan import native
from fastgan.ops import frozen_generator as op
from fastgan.reference.frozen_generator import decode, encode


@pytest.fixture(params=["cpu", *cuda_host.PARAMETERS[:1]])
def leaf(request, need):
    """The operator of a backend, and what it is called with for a small conditional generator."""
    need(native.ops_missing(), "cpu")
    frozen = fastgan.freeze(make("keras 28x28x1, ten classes"))
    z, c = inputs(frozen, 3)
    program, slopes = frozen._program
    names = ("z", "c", "tensors", "packed", "program", "slopes", "image", "pixels")
    values = (z, c, frozen.tensors(), frozen._packed, program, slopes, [1, 28, 28], False)
    arguments = dict(zip(names, values, strict=True))
    if request.param == "cpu":
        yield torch.ops.fastgan_C.frozen_generator, arguments
        return
    with cuda_host.forced(request.param):
        arguments["packed"] = op.pack_for_cuda(frozen.tensors(), frozen.plan.steps, "fp32")
        yield native.cuda_operators().frozen_generator, arguments


def changed(numbers: list, place: int, value: int) -> list:
    return [*numbers[:place], value, *numbers[place + 1 :]]


def half_read(program: list) -> list:
    """The first transposed convolution takes the row before it for a lower map; all else fits."""
    source, result = program[3 * 16 + 3], program[3 * 16 + 6]
    return changed(changed(program, 3 * 16 + 3, source - 1), 3 * 16 + 6, result - 2)


CHANGES = {
    "labels beyond": ("c", lambda c: c + 10, "labels from 0 to 9"),
    "labels below": ("c", lambda c: c - 10, "labels from 0 to 9"),
    "no labels": ("c", lambda c: None, "c must be int64"),
    "few labels": ("c", lambda c: c[:2], "c must be int64"),
    "narrow labels": ("c", lambda c: c.int(), "c must be int64"),
    "narrow latents": ("z", lambda z: z[:, :9], "does not read what is there"),
    "double latents": ("z", lambda z: z.double(), "z must be float32"),
    "a step short": ("program", lambda p: p[:-16], "another length"),
    "unknown kind": ("program", lambda p: changed(p, 0, 4), "of no kind"),
    "larger result": ("program", lambda p: changed(p, 8, 10**6), "a packed weight has another size"),
    "negative size": ("program", lambda p: changed(p, 6, -1), "out of range"),
    "an empty map": ("program", lambda p: changed(p, 6, 0), "a map is empty"),
    "no output channels": ("program", lambda p: changed(p, 8, 0), "a map is empty"),
    "source unlike the row": ("program", half_read, "step 3: a convolution does not read what is there"),
    "no stride": ("program", lambda p: changed(p, 3 * 16 + 11, 0), "a kernel or stride is empty"),
    "another table": ("program", lambda p: changed(p, 16 + 1, 0), "a scale has another size"),
    "no such table": ("program", lambda p: changed(p, 16 + 1, 99), "refers to no tensor"),
    "fewer classes": ("program", lambda p: changed(p, 16 + 4, 9), "another number of classes"),
    "odd channels": ("program", lambda p: changed(p, 16 + 3, 5), "another number of channels"),
    "unknown activation": ("program", lambda p: changed(p, 2 * 16 + 1, 9), "no such activation"),
    "another image": ("image", lambda i: [1, 28, 29], "gives another image"),
    "sizes below zero": ("image", lambda i: [-1, -28, 28], "gives another image"),
    "packed short": ("packed", lambda p: p[:-1], "a packed weight is missing"),
    "packed cut": ("packed", lambda p: [p[0][:-1], *p[1:]], "a packed weight has another size"),
    "tables in double": ("tensors", lambda t: [each.double() for each in t], "a scale has another size"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_program_that_does_not_fit_is_refused(leaf, change):
    operator, arguments = leaf
    name, make_bad, sentence = CHANGES[change]
    assert operator(*arguments.values()).shape == (3, 1, 28, 28)
    arguments[name] = make_bad(arguments[name])
    if "labels from" in sentence and arguments["packed"][0].dtype == torch.uint8:
        assert operator(*arguments.values()).isnan().all()  # nobody reads labels that lie on a device
        return
    with pytest.raises(RuntimeError, match=sentence):
        operator(*arguments.values())


def test_an_index_outside_the_row_is_refused(need):
    need(native.ops_missing(), "cpu")
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Unflatten(1, (8, 1, 2)), nn.Conv2d(8, 2, 1))
    frozen = fastgan.freeze(model.eval(), input_shape=(3, 2, 2))
    frozen.index1[3] = 16
    with pytest.raises(RuntimeError, match="no such place in a row"):
        frozen(torch.randn(2, 3, 2, 2))


def test_a_weight_that_is_not_finite_is_told_from_its_packed_form(need):
    need(native.ops_missing(), "cpu")
    frozen = fastgan.freeze(make("dcgan 64x64x3"))
    assert all(packed[-1] == 1 for packed in frozen._packed)
    state = frozen.state_dict()
    state["weight2"][0, 0, 0, 0] = float("inf")
    frozen.load_state_dict(state)
    assert [packed[-1].item() for packed in frozen._packed] == [1, 0, 1, 1, 1]


@pytest.mark.parametrize("name", ["keras 28x28x1, ten classes", "dcgan 64x64x3"])
def test_a_program_is_the_plan(name):
    steps = fastgan.freeze(make(name)).plan.steps
    assert decode(*encode(steps)) == list(steps)
