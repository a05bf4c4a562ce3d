"""Fused models under DistributedDataParallel, in processes of their own; FSDP, which is left alone."""

import copy

import pytest
import torch
import torch.distributed as dist
from fusion_models import call, make
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import fastgan
from fastgan import backends

STEPS = 3

# A spawned process imports this file anew; what it runs must be found at module level.


def train(model, arguments, share):
    """Parameters after a few steps on a share (a slice) of the batch."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    for _ in range(STEPS):
        optimizer.zero_grad()
        output = model(*(each[share].clone() for each in arguments))
        (output - 0.5).square().mean().backward()
        optimizer.step()
    return [parameter.detach().clone() for parameter in model.parameters()]


def worker(rank, world, file, name, results):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=world)
    try:
        share = slice(rank * 4 // world, (rank + 1) * 4 // world)
        found = {}
        for kind in ("plain", "fused"):
            model, arguments = make(name)
            if kind == "fused":
                fastgan.fuse_(model)
            with backends.use_backend("reference"), backends.record() as runs:
                found[kind] = train(DistributedDataParallel(model), arguments, share)
            assert bool(runs) is (kind == "fused")
        if rank == 0:
            torch.save(found, results)
    finally:
        dist.destroy_process_group()


def shard(rank, world, file, name, results):
    from torch.distributed.fsdp import fully_shard

    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=world)
    try:
        model, arguments = make(name)
        mesh = dist.init_device_mesh("cpu", (world,))
        fully_shard(model.main, mesh=mesh)
        expected = call(model, arguments)
        kinds = [type(module) for module in model.modules()]
        fastgan.fuse_(model)
        assert [type(module) for module in model.modules()] == kinds
        assert torch.equal(call(model, arguments), expected)
        why = {each.path: each.reason for each in fastgan.report(model).containers}
        assert why["main"] == "FSDP shards its weights", why
        # ... and sharded after it was fused, it runs as written where weights are no plain tensors.
        model, arguments = make(name)
        fully_shard(fastgan.fuse_(model).main, mesh=mesh)
        torch.testing.assert_close(call(model, arguments), expected)
        torch.save(True, results)
    finally:
        dist.destroy_process_group()


def spawn(target, world, tmp_path, name):
    torch.multiprocessing.spawn(
        target, (world, tmp_path / "rendezvous", name, tmp_path / "results.pt"), nprocs=world, join=True
    )
    return torch.load(tmp_path / "results.pt", weights_only=False)


@pytest.mark.slow
@pytest.mark.parametrize("world", [1, 2])
@pytest.mark.parametrize("name", ["critic", "functional"])
def test_data_parallel_training(name, world, tmp_path):
    found = spawn(worker, world, tmp_path, name)
    model, arguments = make(name)
    noise = {"main.2.bias", "up1.bias"}  # in front of a batch norm: rounding noise moves them
    for (key, start), one, other in zip(model.named_parameters(), found["plain"], found["fused"], strict=True):
        if key not in noise:
            torch.testing.assert_close(other, one, rtol=1e-3, atol=2e-5, msg=key)
            assert not torch.equal(one, start)
    if world == 1:
        alone = train(fastgan.fuse_(copy.deepcopy(model)), arguments, slice(4))
        for one, other in zip(alone, found["fused"], strict=True):
            torch.testing.assert_close(other, one)


@pytest.mark.slow
def test_sharded_modules_are_left_alone(tmp_path):
    assert dist.is_gloo_available()
    assert spawn(shard, 1, tmp_path, "critic") is True
    assert isinstance(make("critic")[0].main, nn.Sequential)
