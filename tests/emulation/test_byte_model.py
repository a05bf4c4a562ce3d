"""The bytes of `fastgan bench gpu-model` against those that the emulated launches touch.

The model has no partial results of reductions; what the launches have for these is added to what may differ.
"""

import pytest
import torch
from fastgan.bench.gpu.launches import launches as modelled
from fastgan.bench.gpu.trace import recorded
from support import chain_rows
from support.chain_cases import OPS
from torch._subclasses.fake_tensor import FakeTensorMode

_PARTIAL = ("partial_ptr", "group_ptr", "db_partial_ptr")
_KERNELS = {"input grad": "_affine_act_conv_input_grad_kernel", "weight grad": "_affine_act_conv_weight_grad_kernel"}


def _model(case, up) -> dict[str, tuple[int, int]]:
    """(bytes read, bytes written) of each kernel by the model, from a call on tensors without memory."""
    with FakeTensorMode():

        def fake(tensor):
            return None if tensor is None else torch.empty(tensor.shape, dtype=tensor.dtype)

        def call():
            tensors = [fake(each).requires_grad_() for each in case.tensors]
            results = OPS[case.kind](*tensors, *case.options)
            torch.autograd.grad(results, tensors, [fake(each) for each in up])

        found = [launch for launch in modelled(recorded(call)) if launch.kernel.startswith("affine_act_conv")]
    kernels = {}
    for launch in found:
        _, _, which = launch.kernel.partition(" ")
        kernels[_KERNELS.get(which, which or "_affine_act_conv_kernel")] = launch.read, launch.written
    return kernels


@pytest.mark.emulation
@pytest.mark.parametrize("configuration", ["conv_transpose2d 4x4s2 48 to 32 fp16", "conv2d 3x3s1 24 to 72 fp16"])
def test_the_model_has_the_bytes_of_the_launches(rig, configuration):
    of = rig.chain_checks.row(configuration, samples=6)
    case = chain_rows.case_of(of)
    up = rig.chain_launches.upstream(case)
    model = _model(case, up)
    with rig.chain_launches.setting("sm_80", large=of.large), rig.capture.emulated("sm_80") as launches:
        rig.chain_launches.launched(case, up)
    assert {launch.launch.name for launch in launches} <= set(model)
    for each in launches:
        read, written = model[each.launch.name]
        arguments = each.launch.arguments
        partial = sum(arguments[name].nbytes for name in _PARTIAL if arguments.get(name) is not None)
        grid = each.launch.grid
        counters = 4 * 2 * grid[0] * grid[1] if arguments["counter_ptr"] is not None else 0
        for modelled_bytes, bytes in (
            (read, each.counters.unique_bytes_loaded),
            (written, each.counters.unique_bytes_stored),
        ):
            assert modelled_bytes * 0.95 <= bytes <= modelled_bytes * 1.05 + partial + counters, each.launch.name
