"""A frozen generator is a module like others: copied, pickled, compiled, exported; but it has no derivative."""

import copy
import io
import pickle

import pytest
import torch
from frozen_models import inputs, make

import fastgan
from fastgan import backends
from fastgan.errors import BackendError

NAME = "keras 28x28x1, ten classes"


@pytest.fixture(params=["float", "uint8"])
def frozen(request, each_arithmetic) -> fastgan.freeze:
    return fastgan.freeze(make(NAME), request.param)


def again_by_pickle(frozen):
    return pickle.loads(pickle.dumps(frozen))


def again_by_torch_save(frozen):
    file = io.BytesIO()
    torch.save(frozen, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def again_by_state_dict(frozen):
    other = fastgan.freeze(make(NAME).init_weights(8), frozen.output)
    assert not torch.equal(other(*inputs(frozen, 3)), frozen(*inputs(frozen, 3)))
    other.load_state_dict(frozen.state_dict())
    return other


COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": again_by_pickle,
    "torch.save": again_by_torch_save,
    "state dict": again_by_state_dict,
    "half": lambda frozen: copy.deepcopy(frozen).half(),
    "bfloat16": lambda frozen: copy.deepcopy(frozen).to("cpu", torch.bfloat16),
    "compile": lambda frozen: torch.compile(frozen, backend="aot_eager", fullgraph=True),
}


@pytest.mark.parametrize("way", COPIES)
def test_copies_give_the_same_bytes(frozen, way):
    arguments = inputs(frozen, 5)
    assert torch.equal(COPIES[way](frozen)(*arguments), frozen(*arguments))


def test_numbers_may_come_later(frozen):
    other = copy.deepcopy(frozen).to("meta")
    assert not other._packed
    other.to_empty(device="cpu").load_state_dict(frozen.state_dict())
    assert torch.equal(other(*inputs(frozen, 3)), frozen(*inputs(frozen, 3)))


def test_torch_export_keeps_it_as_one_operator(frozen):
    samples = {0: torch.export.Dim("N")}
    program = torch.export.export(frozen, inputs(frozen, 3), dynamic_shapes=(samples, samples))
    assert torch.equal(program.module()(*inputs(frozen, 9)), frozen(*inputs(frozen, 9)))
    targets = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
    assert targets.count("fastgan.frozen_generator.default") == 1 and not any("conv" in each for each in targets)


@pytest.mark.parametrize("output", ["float", "uint8"])
def test_the_operator_keeps_torchs_rules(output, each_arithmetic):
    frozen = fastgan.freeze(make("keras 40x64x4, one class"), output)
    z, c = inputs(frozen, 3)
    program, slopes = frozen._program
    arguments = z, c, frozen.tensors(), frozen._packed, program, slopes, [4, 40, 64], output, "fp32", True
    torch.library.opcheck(torch.ops.fastgan.frozen_generator.default, arguments)


def test_inputs_and_autocast_do_not_lower_the_precision(each_arithmetic):
    frozen = fastgan.freeze(make(NAME))
    z, c = inputs(frozen, 3)
    z = z.bfloat16()
    expected = frozen(z.float(), c)
    assert torch.equal(frozen(z, c), expected)
    assert torch.equal(frozen(z.double(), c), expected)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(frozen(z.float(), c), expected)


def test_z_in_any_layout_and_shape(each_arithmetic):
    frozen = fastgan.freeze(make("dcgan 64x64x3"))
    (z,) = inputs(frozen, 6)
    expected = frozen(z)
    assert torch.equal(frozen(z[:, :, None, None]), expected)
    assert torch.equal(frozen(z.t().contiguous().t()), expected)
    assert torch.equal(frozen(z.repeat(1, 2)[:, :20]), expected)


def test_packed_weights_are_made_where_there_are_none(frozen):
    z, c = inputs(frozen, 3)
    program, slopes = frozen._program
    arguments = program, slopes, [1, 28, 28], frozen.output, "fp32", True
    result = torch.ops.fastgan.frozen_generator(z, c, frozen.tensors(), [], *arguments)
    assert torch.equal(result, frozen(z, c))


def test_a_derivative_is_refused(each_arithmetic):
    frozen = fastgan.freeze(make("dcgan 64x64x3"))
    z = inputs(frozen, 2)[0].requires_grad_()
    with pytest.raises(RuntimeError, match="has no derivative.*differentiate the model it was made from"):
        frozen(z).sum().backward()
    assert not fastgan.freeze(make("dcgan 64x64x3"), "uint8")(z).requires_grad


def test_a_precision_that_the_kernels_do_not_have(need):
    need(backends.why_not("frozen_generator", "cpu", "cpu", torch.float32), "cpu")
    frozen = fastgan.freeze(make(NAME), precision="bf16")
    assert frozen.backend == "reference"
    with backends.use_backend("cpu"), pytest.raises(BackendError, match="it does not take bfloat16"):
        frozen(*inputs(frozen, 1))


def test_auto_takes_the_kernels_where_they_have_wide_vectors(need):
    need(backends.why_not("frozen_generator", "cpu", "cpu", torch.float32), "cpu")
    need("this machine has no AVX2" if fastgan.native.cpu_capability() == "default" else None, "avx2")
    frozen = fastgan.freeze(make(NAME))
    assert frozen.backend == "cpu"
    try:
        fastgan.native.force_cpu_capability("default")
        assert frozen.backend == "reference"
    finally:
        fastgan.native.force_cpu_capability("auto")


def test_it_says_what_it_is():
    said = repr(fastgan.freeze(make(NAME)))
    assert said == "FrozenGenerator([20] -> [1, 28, 28], 8 steps, output=float, num_classes=10)"
