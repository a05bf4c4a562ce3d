"""An image has the same bytes whatever else is computed with it, by however many threads, whoever else computes."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from frozen_models import inputs, make
from torch.utils._python_dispatch import TorchDispatchMode

import fastgan
from fastgan.reference import frozen_generator as reference

MODELS = ["keras 64x64x3", "keras 28x28x1, ten classes", "dcgan 28x28x1, ten classes"]


@pytest.mark.parametrize("output", ["float", "uint8"])
@pytest.mark.parametrize("name", MODELS)
def test_batch_size_and_threads_change_no_byte(name, output, each_arithmetic):
    model = make(name)
    frozen = fastgan.freeze(model, output)
    arguments = inputs(model, 100)
    whole = frozen(*arguments)
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        for count in (0, 1, 7, 64, 100):
            part = frozen(*(each[100 - count :] for each in arguments))
            assert torch.equal(part, whole[100 - count :]), (count, threads)
        assert torch.get_num_threads() == threads  # and the caller's setting is back


def test_eight_threads_at_once(each_arithmetic):
    model = make("keras 28x28x1, ten classes")
    frozen = fastgan.freeze(model)
    batches = [tuple(each[i:] for each in inputs(model, 70)) for i in range(8)]
    expected = [frozen(*batch) for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            got = list(pool.map(lambda batch: frozen(*batch), batches))
            assert all(torch.equal(one, other) for one, other in zip(got, expected, strict=True))


class Watch(TorchDispatchMode):
    """Batch sizes and thread counts of the linear maps and convolutions that run."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.overloadpacket in (torch.ops.aten.convolution, torch.ops.aten.addmm, torch.ops.aten.mm):
            batch = args[1] if function.overloadpacket is torch.ops.aten.addmm else args[0]
            self.seen.add((batch.shape[0], torch.get_num_threads()))
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(("batch_invariant", "seen"), [(True, {(64, 1)}), (False, {(3, 2)})])
def test_stock_torch_gets_whole_blocks_and_one_thread(batch_invariant, seen):
    model = make("keras 28x28x1, ten classes")
    frozen = fastgan.freeze(model)
    z, c = inputs(model, 3)
    torch.set_num_threads(2)
    with Watch() as watch:
        reference.frozen_generator(
            *(z, c, frozen.tensors(), frozen.plan.steps, frozen.plan.image, "float"), batch_invariant=batch_invariant
        )
    assert watch.seen == seen
