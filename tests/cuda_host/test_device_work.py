"""What runs a hundred times on a GPU leaves its sums in as many blocks as it says: launchers tell, nothing runs."""

import ctypes

import pytest
from support.device_work import BLOCKS, SLOPE, SUMS, case_of

from . import build, pass_calls
from .conv_calls import Call

pytestmark = pytest.mark.cuda_host
FLOATS, SUMS_OF_A_CHANNEL = 4, 2


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    return ctypes.CDLL(str(build.launchers()))


@pytest.mark.parametrize("name", [name for name in SUMS if name.startswith("conv") and "gradients" not in name])
def test_statistics_are_of_that_many_tiles(library, name):
    """Moments of each tile and each group of them: four floats a channel."""
    work = SUMS[name]
    tensors = work.draw(BLOCKS, 0)
    kind = work.op.removeprefix("affine_act_")
    case = case_of(kind, (tensors[0].shape[1], len(tensors[2])))._replace(tensors=tensors)
    moments = Call(library, case).workspace.numel() // (4 * FLOATS * len(tensors[2]))
    groups = round(BLOCKS**0.5)
    assert moments >= BLOCKS + groups


def test_sums_of_a_pass_are_of_that_many_tiles(library):
    x, scale, shift, dz = SUMS["passes"].draw(BLOCKS, 0)
    call = pass_calls.affine_act_backward(library, dz, x, scale, shift, "leaky_relu", SLOPE)
    assert call.fresh[-1].numel() >= BLOCKS * SUMS_OF_A_CHANNEL * x.shape[1]
