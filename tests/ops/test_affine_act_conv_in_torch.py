"""The two chain operators as torch sees them: what is saved, schema, compilation, autocast; and what they refuse."""

import pytest
import torch
from support.chain_cases import OPS, OVERLOADS, gradients, make_case
from torch._subclasses import FakeTensorMode

from fastgan import backends
from fastgan.errors import BackendError

kinds = pytest.mark.parametrize("kind", list(OPS))

pytestmark = pytest.mark.usefixtures("each_cpu_backend")


@kinds
def test_only_needed_gradients_are_computed(kind, each_cpu_backend):
    by_input = {"conv2d": "fastgan::conv_transpose2d", "conv_transpose2d": "fastgan::conv2d"}[kind]
    by_weight = "fastgan::conv2d_weight_grad"
    if each_cpu_backend == "cpu":
        by_input, by_weight = "fastgan_C::affine_act_conv_input_grad", "fastgan_C::affine_act_conv_weight_grad"

    def ran(*wanted: int) -> set[str]:
        case = make_case(kind)
        for i, tensor in enumerate(case.tensors):
            tensor.requires_grad_(i in wanted)
        y = case.run()[0]
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            torch.autograd.grad(y.sum(), [case.tensors[i] for i in wanted])
        return {event.key for event in profile.key_averages()} & {by_input, by_weight}

    assert ran(2) == set()
    assert ran(1) == {by_weight}
    assert ran(0) == ran(3) == ran(4) == {by_input}
    assert ran(0, 1, 2, 3, 4) == {by_input, by_weight}


@kinds
def test_only_what_is_read_is_saved(kind):
    def saved(*wanted: int) -> set[int]:
        case = make_case(kind, "bare", "none", bias=False)
        for i, tensor in enumerate(case.tensors[:2]):
            tensor.requires_grad_(i in wanted)
        kept = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.data_ptr()), lambda _: None):
            case.run()
        return {i for i in (0, 1) if case.tensors[i].data_ptr() in kept}

    assert (saved(0), saved(1), saved(0, 1)) == ({1}, {0, 1}, {0, 1})


@kinds
def test_the_forced_backend_runs_and_a_missing_one_says_so(kind, each_cpu_backend):
    case = make_case(kind)
    op = f"affine_act_{kind}"
    with backends.record() as runs:
        case.run()
    assert [run[:2] for run in runs] == [(op, each_cpu_backend)]
    with backends.use_backend("cuda"), pytest.raises(BackendError, match=f"{op}: backend 'cuda' cannot run here"):
        case.run()


@kinds
@pytest.mark.parametrize("channels_last", [False, True], ids=["nchw", "channels_last"])
@pytest.mark.parametrize("rows", ["bare", "per_sample"])
def test_opcheck(kind, rows, channels_last):
    case = make_case(kind, rows, dtype=torch.float32, channels_last=channels_last, bias=rows == "bare")
    torch.library.opcheck(OVERLOADS[kind], case.arguments())


@kinds
def test_opcheck_with_other_layouts(kind):
    """An input that is no dense block of memory, a batch of one, one channel: fake strides are the real ones."""
    odd = [
        make_case(kind, samples=1, channels=(1, 2), dtype=torch.float32, channels_last=True),
        make_case(kind, "per_sample", size=(1, 1), kernel=(1, 1), padding=(0, 0), dtype=torch.float32),
        make_case(kind, "bare", "none", channels=(3, 1), dtype=torch.bfloat16),
    ]
    sliced = make_case(kind, size=(4, 6), dtype=torch.float32)
    odd.append(sliced._replace(tensors=(sliced.tensors[0].detach()[..., ::2], *sliced.tensors[1:])))
    for case in odd:
        torch.library.opcheck(OVERLOADS[kind], case.arguments(), test_utils="test_faketensor")


@kinds
def test_compile_without_graph_breaks(kind):
    torch._dynamo.reset()
    case = make_case(kind, "per_sample", dtype=torch.float32)
    expected = gradients(case, case.run(), "y mean var")
    compiled = torch.compile(lambda *tensors: case.run(*tensors), fullgraph=True, backend="aot_eager")
    for ours, theirs in zip(gradients(case, compiled(*case.tensors), "y mean var"), expected, strict=True):
        torch.testing.assert_close(ours, theirs)


@kinds
def test_export(kind):
    case = make_case(kind, "per_channel", dtype=torch.float32)

    class Block(torch.nn.Module):
        def forward(self, *tensors):
            return case.run(*tensors)

    tensors = tuple(tensor.detach() for tensor in case.tensors)
    program = torch.export.export(Block(), tensors)
    for ours, theirs in zip(program.module()(*tensors), case.run(), strict=True):
        assert torch.equal(ours, theirs)


@kinds
def test_a_step_on_fake_tensors(kind):
    with FakeTensorMode():
        case = make_case(kind, "per_sample", dtype=torch.bfloat16)
        results = case.run()
        grads = torch.autograd.grad([r.sum() for r in results], case.differentiable(), create_graph=True)
        second = torch.autograd.grad(sum(g.sum() for g in grads), case.differentiable())
    for tensors in (grads, second):
        assert [(g.shape, g.dtype) for g in tensors] == [(t.shape, t.dtype) for t in case.differentiable()]


@kinds
def test_shapes_on_a_device_that_is_not_there(kind):
    expected = make_case(kind, "per_sample", dtype=torch.float16).by_reference()
    with FakeTensorMode():
        case = make_case(kind, "per_sample", dtype=torch.float16)
        results = case.run(*(torch.empty_like(tensor, device="cuda").detach() for tensor in case.tensors))
    for ours, theirs in zip(results, expected, strict=True):
        assert (ours.shape, ours.dtype, ours.device.type) == (theirs.shape, theirs.dtype, "cuda")


@kinds
def test_autocast_casts_the_operands_alone(kind):
    case = make_case(kind, "per_sample", dtype=torch.float32, size=(8, 8))
    with torch.autocast("cpu", torch.bfloat16):
        results = case.run()
    half = case.to(torch.float32)
    by_hand = half.run(*(t.to(torch.bfloat16) for t in half.tensors[:3]), *half.tensors[3:])
    assert [r.dtype for r in results] == [torch.bfloat16, torch.float32, torch.float32]
    ours, theirs = gradients(case, results, "y mean var"), gradients(half, by_hand, "y mean var")
    for actual, wanted in zip([*results, *ours], [*by_hand, *theirs], strict=True):
        assert torch.equal(actual, wanted) and actual.dtype == wanted.dtype


@kinds
def test_a_wide_weight_counts_as_rounded(kind, each_cpu_backend):
    case = make_case(kind, "per_sample", dtype=torch.float32, size=(8, 8))
    x = case.tensors[0].detach().to(torch.bfloat16).requires_grad_()
    w, b = (t.detach().to(torch.bfloat16).requires_grad_() for t in case.tensors[1:3])
    wide, narrow = [x, *case.tensors[1:3], *case.tensors[3:]], [x, w, b, *case.tensors[3:]]

    def run(tensors):
        with torch.autocast("cpu", torch.bfloat16):  # where parameters may be wider than maps
            return case.run(*tensors)

    def derivatives(tensors):
        results = run(tensors)
        first = torch.autograd.grad(sum(r.float().square().sum() for r in results), tensors, create_graph=True)
        second = torch.autograd.grad(sum(g.float().square().sum() for g in first), tensors)
        return [*results, *first, *second]

    for ours, theirs in zip(derivatives(wide), derivatives(narrow), strict=True):
        torch.testing.assert_close(ours.float(), theirs.float(), rtol=0.05, atol=0.02 * theirs.abs().max().item())
    grads = torch.autograd.grad(run(wide)[0].float().sum(), wide[:3])
    assert [g.dtype for g in grads] == [torch.bfloat16, torch.float32, torch.float32]


@kinds
@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels_last"])
def test_the_gradient_for_a_weight_lies_as_the_weight_does(kind, last, each_cpu_backend):
    case = make_case(kind, dtype=torch.float32)
    format = torch.channels_last if last else torch.contiguous_format
    w = case.tensors[1].detach().contiguous(memory_format=format).requires_grad_()
    (dw,) = torch.autograd.grad(case.run(case.tensors[0], w, *case.tensors[2:])[0].sum(), w)
    assert dw.stride() == w.stride()


@kinds
def test_autocast_around_derivatives_changes_nothing(kind):
    """Outside the block forward, inside it backward and its derivative: they keep the dtype of the forward."""
    case = make_case(kind, "per_sample", dtype=torch.float32)

    def second_order():
        first = gradients(case, case.run(), "y var", create_graph=True)
        return torch.autograd.grad(sum(g.square().sum() for g in first), case.differentiable())

    expected = second_order()
    results = case.run()
    with torch.autocast("cpu", torch.bfloat16):
        first = gradients(case, results, "y var", create_graph=True)
        ours = torch.autograd.grad(sum(g.square().sum() for g in first), case.differentiable())
    for actual, wanted in zip(ours, expected, strict=True):
        torch.testing.assert_close(actual, wanted, rtol=1e-5, atol=1e-5)


@kinds
def test_autocast_leaves_float64(kind):
    case = make_case(kind)
    with torch.autocast("cpu", torch.bfloat16):
        ours = case.run()
    assert all(torch.equal(a, b) for a, b in zip(ours, case.run(), strict=True))


@kinds
def test_scale_and_shift_of_half_models_are_widened(kind):
    case = make_case(kind, dtype=torch.bfloat16)
    scale, shift = (t.detach().bfloat16().requires_grad_() for t in case.tensors[3:])
    y, mean, _ = case.run(*case.tensors[:3], scale, shift)
    assert torch.equal(y, case.run(*case.tensors[:3], scale.float(), shift.float())[0])
    assert [g.dtype for g in torch.autograd.grad(y.sum() + mean.sum(), (scale, shift))] == [torch.bfloat16] * 2


X = torch.zeros(2, 3, 4, 4)


@kinds
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"input": X[0]}, ValueError, r"input must be \[N, C_in, H, W\], got \[3, 4, 4\]"),
        ({"weight": torch.zeros(5, 5, 3, 3)}, ValueError, r"weight must be .*C_in=3.* got \[5, 5, 3, 3\]"),
        ({"bias": torch.zeros(7)}, ValueError, r"bias must be \[C_out=3\] or None, got \[7\]"),
        ({"scale": torch.zeros(3)}, ValueError, r"scale must be \[1, C=3\] or \[N=2, C=3\], got \[3\]"),
        ({"shift": torch.zeros(3, 3)}, ValueError, r"shift must be \[1, C=3\] or \[N=2, C=3\], got \[3, 3\]"),
        ({"activation": "tanh"}, ValueError, "activation must be one of none, leaky_relu, relu, got 'tanh'"),
        ({"negative_slope": 1.5}, ValueError, r"negative_slope must be in \[0, 1\], got 1.5"),
        ({"negative_slope": float("nan")}, ValueError, r"negative_slope must be in \[0, 1\], got nan"),
        ({"stride": 0}, ValueError, "stride must be one or two integers >= 1, got 0"),
        ({"padding": (1, -1)}, ValueError, r"padding must be one or two integers >= 0, got \(1, -1\)"),
        ({"input": X.long()}, TypeError, "input must have a floating dtype, got int64"),
        ({"weight": torch.zeros(3, 3, 3, 3).half()}, TypeError, "weight must be float32 like input, got float16"),
        ({"bias": torch.zeros(3).double()}, TypeError, "bias must be float32 like input, got float64"),
    ],
)
def test_misuse_is_one_sentence(kind, change, error, message):
    arguments = {
        "input": X,
        "weight": torch.zeros(3, 3, 3, 3),
        "bias": None,
        "scale": None,
        "shift": None,
        "activation": "relu",
        "negative_slope": 0.0,
        "stride": 1,
        "padding": 1,
    }
    extra = {} if kind == "conv2d" else {"output_padding": 0}
    with pytest.raises(error, match=f"^affine_act_{kind}: {message}$") as caught:
        OPS[kind](**{**arguments, **change, **extra})
    assert "\n" not in str(caught.value)


def test_a_kernel_larger_than_the_image_is_refused():
    with pytest.raises(ValueError, match=r"large enough for an output of 1 x 1, got \[2, 3, 4, 4\], which gives"):
        OPS["conv2d"](X, torch.zeros(3, 3, 7, 3), None, None, None, "none", 1.0, 1, 1)
