"""Tensors on another device than the first one: a sentence, and nothing is read. Meta tensors have nothing to read.

Torch gives a call the half of an operator that goes with one of its tensors, whatever the others are. Of CPU and meta
tensors it would give Meta's: the call goes to the half for CPU tensors by name.
"""

import functools

import pytest
import torch
from support import cuda_host

from fastgan import native

CPU = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)
N, C, K, SIZE = 2, 8, 16, 4
MAP, ROWS, VECTOR, LOGITS = torch.randn(N, C, SIZE, SIZE), torch.randn(N, C), torch.randn(K), torch.randn(5)
OUTPUT, WEIGHT = torch.randn(N, K, SIZE, SIZE), torch.randn(K, C, 1, 1)
ACT, PLACE = (2, 0.2), ([1, 1], [0, 0])  # activation and slope, stride and padding
OF_DY = {"grad_output": OUTPUT, "grad_mean": VECTOR, "grad_var": VECTOR, "output": OUTPUT, "mean": VECTOR}

# operator -> its tensors by name, and how it is called with them
PASSES = {
    "affine_act": (
        {"input": MAP, "scale": ROWS, "shift": ROWS},
        lambda op, t: op(t["input"], t["scale"], t["shift"], *ACT, False),
    ),
    "affine_act_backward": (
        {"grad_output": MAP, "input": MAP, "scale": ROWS, "shift": ROWS},
        lambda op, t: op(t["grad_output"], t["input"], t["scale"], t["shift"], *ACT, True, True, True),
    ),
    "gan_loss": (
        {"fake_logits": LOGITS, "real_logits": LOGITS},
        lambda op, t: op(t["real_logits"], t["fake_logits"], 0),
    ),
    "frozen_generator": (
        {"z": torch.randn(N, C), "c": torch.zeros(N, dtype=torch.int64)},
        lambda op, t: op(t["z"], t["c"], [], [], [], [], [1, 1, 1], False),
    ),
}
OF_CONVOLUTION = {"input": MAP, "weight": WEIGHT, "bias": VECTOR, "scale": ROWS, "shift": ROWS}
ON_CPU = PASSES | {
    "channel_statistics": ({"output": OUTPUT, "bias": VECTOR}, lambda op, t: op(t["output"], t["bias"])),
    "channel_statistics_backward": (
        {
            "output": OUTPUT,
            "grad_output": OUTPUT,
            "grad_mean": VECTOR,
            "grad_var": VECTOR,
            "mean": VECTOR,
            "bias": VECTOR,
        },
        lambda op, t: op(t["grad_output"], t["grad_mean"], t["grad_var"], t["output"], t["mean"], t["bias"]),
    ),
    "affine_act_conv": (
        OF_CONVOLUTION,
        lambda op, t: op(*t.values(), *ACT, *PLACE, [SIZE, SIZE], False, False),
    ),
    "affine_act_conv_input_grad": (
        {"grad_output": OUTPUT}
        | OF_DY
        | {"bias": VECTOR, "weight": WEIGHT, "input": MAP, "scale": ROWS, "shift": ROWS},
        lambda op, t: op(*t.values(), *ACT, *PLACE, [SIZE, SIZE], False, True, True, True),
    ),
    "affine_act_conv_weight_grad": (
        OF_DY | {"bias": VECTOR, "input": MAP, "scale": ROWS, "shift": ROWS},
        lambda op, t: op(*t.values(), *ACT, *PLACE, [1, 1], False),
    ),
}
ON_HOST = PASSES | {
    "affine_act_conv_cuda": (
        OF_CONVOLUTION,
        lambda op, t: op(*t.values(), *ACT, *PLACE, [SIZE, SIZE], False, False, False),
    ),
}


def moved(calls):
    """Each tensor of each call but the first one, which says where the others must be."""
    pairs = [(op, name) for op, (tensors, _) in calls.items() for name in list(tensors)[1:]]
    return pytest.mark.parametrize(("op", "name"), pairs, ids=[f"{op}-{name}" for op, name in pairs])


def refuses(library, calls, op: str, name: str) -> None:
    tensors, call = calls[op]
    half = functools.partial(getattr(library, op).default.redispatch, CPU)
    if op != "frozen_generator":  # which refuses a program without steps
        call(half, tensors)
    with pytest.raises(RuntimeError, match=f": {name} must be on cpu as the other tensors are, got one on meta"):
        call(half, tensors | {name: tensors[name].to("meta")})


@moved(ON_CPU)
def test_the_kernels_for_the_cpu_refuse_it(op, name, need):
    need(native.ops_missing(), "cpu")
    refuses(torch.ops.fastgan_C, ON_CPU, op, name)


@pytest.mark.cuda_host
@moved(ON_HOST)
def test_the_cuda_operators_refuse_it(op, name):
    with cuda_host.switched_on():
        refuses(native.cuda_operators(), ON_HOST, op, name)
