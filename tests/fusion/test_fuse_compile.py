"""torch.compile and torch.export over fused models."""

import copy

import pytest
import torch
from fusion_models import MODELS, call, make
from torch import nn

import fastgan

WHOLE = ("functional", "flags", "critic", "conditional")  # the others branch on values or hold hooks


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def operators_of(model, arguments):
    """The graph's operators, from a backend that runs it as it is."""
    found = []

    def backend(graph, example_inputs):
        found.extend(str(node.target) for node in graph.graph.nodes if node.op == "call_function")
        return graph

    call(torch.compile(model, backend=backend, fullgraph=True), arguments)
    torch._dynamo.reset()
    return found


@pytest.mark.parametrize("name", WHOLE)
def test_one_graph_forward_and_backward(name):
    plain, arguments = make(name)
    plain.eval()  # random numbers of dropout differ under compilation
    fused = fastgan.fuse_(copy.deepcopy(plain))
    compiled = torch.compile(fused, backend="aot_eager", fullgraph=True)
    expected, got = call(plain, arguments), call(compiled, arguments)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
    upstream = torch.randn_like(expected)
    for one, other in zip(
        torch.autograd.grad(expected, list(plain.parameters()), upstream),
        torch.autograd.grad(got, list(fused.parameters()), upstream),
        strict=True,
    ):
        torch.testing.assert_close(other, one, rtol=1e-3, atol=1e-4)


def test_training_updates_the_buffers():
    plain, arguments = make("critic")
    fused = fastgan.fuse_(copy.deepcopy(plain))
    compiled = torch.compile(fused, backend="aot_eager", fullgraph=True)
    for _ in range(2):
        call(plain, arguments), call(compiled, arguments)
    for one, other in zip(plain.buffers(), fused.buffers(), strict=True):
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["functional", "critic"])
def test_the_chain_is_in_the_graph(name):
    model, arguments = make(name)
    assert any("affine_act_conv" in each for each in operators_of(fastgan.fuse_(model), arguments))


@pytest.mark.parametrize("name", [name for name in MODELS if name not in WHOLE])
def test_with_graph_breaks(name):
    plain, arguments = make(name)
    fused = fastgan.fuse_(copy.deepcopy(plain) if name != "spectral" else make(name)[0])
    compiled = torch.compile(fused, backend="aot_eager")
    torch.testing.assert_close(call(compiled, arguments), call(plain, arguments), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("channels", [3, 1])
def test_inductor(need, channels, format):
    import shutil

    need(None if shutil.which("g++") or shutil.which("clang++") else "there is no C++ compiler", "compiler")
    torch.manual_seed(0)
    first = nn.Conv2d(channels, 8, 4, 2, 1), nn.BatchNorm2d(8), nn.LeakyReLU(0.2, True)
    plain = nn.Sequential(*first, nn.Conv2d(8, channels, 4), nn.Tanh(), nn.Conv2d(channels, 1, 2))
    fused, x = fastgan.fuse_(copy.deepcopy(plain)), torch.randn(2, channels, 16, 16).to(memory_format=format)
    compiled = torch.compile(lambda x: fused(2 * x), fullgraph=True)
    got, expected = compiled(x), plain(2 * x)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
    ours = torch.autograd.grad(got.square().sum(), list(fused.parameters()))
    theirs = torch.autograd.grad(expected.square().sum(), list(plain.parameters()))
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["critic", "functional"])
def test_export(name):
    model, (x,) = make(name)
    exported = torch.export.export(fastgan.fuse_(model).eval(), (x,))
    assert any("fastgan.affine_act_conv" in str(node.target) for node in exported.graph.nodes)
    torch.testing.assert_close(exported.module()(x.clone()), model(x.clone()), rtol=1e-4, atol=1e-5)
