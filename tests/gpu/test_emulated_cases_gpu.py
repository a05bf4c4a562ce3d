"""Every row that is emulated elsewhere, on a device: launchers of Triton, and the cuda backend's operators.

Triton's rows and the passes are those of tests/emulation/chain_table.py, those of the CUDA convolutions
tests/cuda_host/conv_rows.py's; results are held against float64 on the CPU.
"""

import importlib
from types import SimpleNamespace

import pytest
import torch
from cuda_host import conv_rows
from emulation.chain_table import BATCH_NORMS, PASSES, ROWS
from support import chain_rows, pass_rows
from support.tolerances import assert_as_good_as

from fastgan import backends, losses
from fastgan.ops import affine_act as passes
from fastgan.reference import gan_loss as reference

pytestmark = [pytest.mark.gpu, pytest.mark.stand_in]


def named(rows):
    return [pytest.param(row, id=row.configuration.replace(" ", "_")) for row in rows]


@pytest.fixture
def triton(need, device) -> SimpleNamespace:
    """The modules that launch Triton's kernels."""
    need(backends.why_not("gan_loss", "triton", device.type, torch.float32), "triton")
    names = "chain_launches", "pass_launches"
    return SimpleNamespace(**{name: importlib.import_module(f"emulation.{name}") for name in names})


@pytest.fixture
def precision():
    """precision(name) lets torch and our kernels round float32 to tf32 in convolutions where that is the name."""
    switch = torch.backends.cudnn.conv
    before = switch.fp32_precision

    def allow(name: str) -> None:
        switch.fp32_precision = "tf32" if name == "tf32" else "ieee"

    yield allow
    switch.fp32_precision = before


def compare(ours: dict, stock: dict, exact: dict) -> None:
    for name, actual in ours.items():
        # Of one number stock torch's error is chance.
        if actual is None or exact.get(name) is None or exact[name].numel() == 1 or not actual.numel():
            continue
        assert_as_good_as(actual.cpu(), stock[name].to(actual.dtype), exact[name])


def moved(tensors, device):
    return tuple(each if each is None else each.detach().to(device) for each in tensors)


@pytest.mark.parametrize("row", named(ROWS))
def test_convolutions_in_triton(triton, device, precision, row):
    launches = triton.chain_launches
    precision(row.precision)
    given = case = chain_rows.case_of(row)
    if row.wide_weight:
        given, case = chain_rows.with_wide_parameters(case)
    up = launches.upstream(case, row.uses) if row.parts else None
    on_device = given._replace(tensors=moved(given.tensors, device))
    ours = launches.launched(on_device, up and launches.Upstream(*moved(up, device)), row.parts)
    precision("ieee")
    stock, exact = launches.defined(case, up, row.precision == "tf32"), launches.defined(case.to(torch.float64), up)
    compare(ours._asdict(), stock._asdict(), exact._asdict())
    assert all(not counters.any() for counters in launches.workspace._counters.values())


@pytest.mark.parametrize("row", named((*PASSES, *BATCH_NORMS)))
def test_passes_and_vectors_in_triton(triton, device, row):
    launches = triton.pass_launches
    run = launches.batch_norm_affine_of if row in BATCH_NORMS else launches.affine_act_of
    define = launches.DEFINITIONS[type(row)]
    ours, stock, exact = run(row, device=device), define(row), define(row, torch.float64)
    if "pixels" in ours:
        assert torch.equal(ours.pop("pixels").cpu(), stock["pixels"])
    compare(ours, stock, exact)


def of_cuda(need, operator: str, device: torch.device, dtype: torch.dtype) -> None:
    need(backends.why_not(operator, "cuda", device.type, dtype), "cuda")


@pytest.mark.parametrize("row", named((*conv_rows.ROWS, *conv_rows.LARGE)))
def test_convolutions_in_cuda(need, device, precision, row):
    """Parameters that are wider than the maps under autocast, which alone hands them to the operators."""
    of_cuda(need, f"affine_act_{row.kind}", device, chain_rows.DTYPES[row.precision])
    given = case = chain_rows.case_of(row)
    if row.wide_weight:
        given, case = chain_rows.with_wide_parameters(case)
    autocast = torch.autocast(device.type, case.tensors[0].dtype, enabled=row.wide_weight)
    precision(row.precision)
    with torch.no_grad(), backends.use_backend("cuda"), backends.record() as runs, autocast:
        ours = given.run(*moved(given.tensors, device))
    precision("ieee")
    assert {run.backend for run in runs} == {"cuda"}
    names = "y", "mean", "var"
    stock, exact = chain_rows.defined(case, row.precision)
    compare(*(dict(zip(names, results, strict=True)) for results in (ours, stock, exact)))


@pytest.mark.parametrize("row", named(PASSES))
def test_passes_in_cuda(need, device, row):
    of_cuda(need, "affine_act", device, chain_rows.DTYPES[row.precision])
    *inputs, dz = moved(pass_rows.affine_act_tensors(row), device)
    inputs = [each if each is None else each.requires_grad_() for each in inputs]
    with backends.use_backend("cuda"):
        z = passes.affine_act(*inputs, row.activation, pass_rows.SLOPE)
        wanted = [each for each in inputs if each is not None]
        gradients = iter(torch.autograd.grad(z, wanted, dz))
    ours = {name: next(gradients) for name, each in zip(("dx", "ds", "dt"), inputs, strict=True) if each is not None}
    stock, exact = (pass_rows.affine_act_defined(row, dtype) for dtype in (None, torch.float64))
    compare({"z": z.detach(), **ours}, stock, exact)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("family", losses.FAMILIES)
@pytest.mark.parametrize("backend", ["triton", "cuda"])
def test_losses(need, device, backend, family, dtype):
    """More than one tile of each kind, and not whole ones."""
    need(backends.why_not("gan_loss", backend, device.type, dtype), backend)
    shapes = ((1025,), (1025,)) if family in reference.PAIRED else ((7, 3), (1025,))
    generator = torch.Generator().manual_seed(0)
    real, fake = (torch.randn(shape, generator=generator).mul(3).to(dtype) for shape in shapes)
    with backends.use_backend(backend):
        d, g, _, *gradients = torch.ops.fastgan.gan_loss(*moved((real, fake), device), family)
    names = "d_real", "d_fake", "g_real", "g_fake"
    ours = {"d": d, "g": g} | {name: each for name, each in zip(names, gradients, strict=True) if each.numel()}
    compare(ours, losses_defined(real, fake, family), losses_defined(real.double(), fake.double(), family))


def losses_defined(real, fake, family):
    found = reference.gradients(real, fake, family)._asdict()
    return found | {
        "d": reference.discriminator_loss(real, fake, family),
        "g": reference.generator_loss(real, fake, family),
    }
