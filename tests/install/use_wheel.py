"""Run by a Python that has an installed wheel, a torch and little else: are the operators there, and right?

    python tests/install/use_wheel.py

Prints one line of JSON with what was found; an assertion that fails is a traceback.
"""

import json
import sys

import torch

import fastgan
from fastgan import backends, build_info, losses, native
from fastgan.errors import BackendError
from fastgan.ops.affine_act_conv2d import affine_act_conv2d
from fastgan.ops.affine_act_conv_transpose2d import affine_act_conv_transpose2d

LEAVES = ("gan_loss", "affine_act", "affine_act_conv", "frozen_generator")


def registered(name: str) -> bool:
    found = torch._C._dispatch_get_all_op_names()
    return any(each.startswith(f"fastgan_C::{name}") for each in found)


def far(ours: torch.Tensor, exact: torch.Tensor) -> float:
    return ((ours.double() - exact).norm() / exact.norm()).item()


def check_losses() -> None:
    real = torch.tensor([2.0, 0.0], requires_grad=True)
    with backends.use_backend("cpu"), backends.record() as runs:
        losses.gan_loss(real, torch.tensor([-2.0, -1.0]), family="hinge").d_loss.backward()
    assert real.grad.tolist() == [0.0, -0.5], real.grad
    assert {run.backend for run in runs} == {"cpu"}, runs


def check_convolutions() -> None:
    torch.manual_seed(0)
    x, s, t = torch.randn(2, 16, 8, 8), torch.rand(1, 16) + 0.5, torch.randn(1, 16)
    for operator, shape, geometry in (
        (affine_act_conv2d, (24, 16, 4, 4), ((2, 2), (1, 1))),
        (affine_act_conv_transpose2d, (16, 24, 4, 4), ((2, 2), (1, 1), (0, 0))),
    ):
        w, results = torch.randn(shape), {}
        for backend, dtype in (("cpu", torch.float32), ("reference", torch.float64)):
            maps = [each.to(dtype) for each in (x, w, s, t)]
            with backends.use_backend(backend), backends.record() as runs:
                results[backend] = operator(*maps[:2], None, *maps[2:], "leaky_relu", 0.3, *geometry)
            assert {run.backend for run in runs} == {backend}, runs
        for ours, exact in zip(results["cpu"], results["reference"], strict=True):
            assert far(ours, exact) < 1e-5, (operator, far(ours, exact))


def refusal() -> str:
    """What a forced backend cuda says where there is no device."""
    with backends.use_backend("cuda"):
        try:
            losses.gan_loss(torch.zeros(2), torch.zeros(2), family="hinge")
        except BackendError as error:
            return str(error)
    raise AssertionError("backend cuda took CPU tensors")


def main() -> None:
    assert native.ops_missing() is None, native.ops_missing()
    assert native.host_missing() is None, native.host_missing()
    assert all(map(registered, LEAVES)), [name for name in LEAVES if not registered(name)]
    check_losses()
    check_convolutions()
    found = {
        "package": fastgan.__file__,
        "facts": build_info.facts(),
        "stream": torch.ops.fastgan_C.finds_cuda_stream(),
        "refusal": refusal(),
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
