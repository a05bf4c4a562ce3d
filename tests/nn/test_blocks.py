"""Blocks as modules: the same training as stock torch, stable keys, running statistics and flags."""

import copy
import pickle

import pytest
import torch
from torch import nn

from fastgan.nn import ConditionalBatchNorm2d, ConvBnAct2d, ConvTransposeBnAct2d, LinearBnAct

BLOCKS = {
    "conv_transpose2d": (
        lambda **options: ConvTransposeBnAct2d(3, 4, 4, 2, 1, bias=False, **options),
        lambda: nn.ConvTranspose2d(3, 4, 4, 2, 1, bias=False),
        nn.BatchNorm2d,
        (6, 3, 3, 5),
    ),
    "conv2d": (
        lambda **options: ConvBnAct2d(3, 4, 4, 2, 1, **options),
        lambda: nn.Conv2d(3, 4, 4, 2, 1),
        nn.BatchNorm2d,
        (6, 3, 6, 8),
    ),
    "linear": (
        lambda **options: LinearBnAct(3, 4, **options),
        lambda: nn.Linear(3, 4),
        nn.BatchNorm1d,
        (6, 3),
    ),
}


def _pair(name, momentum):
    """Our block and the stock chain with the same numbers."""
    torch.manual_seed(0)
    ours, layer, bn, shape = BLOCKS[name]
    ours = ours(eps=1e-3, momentum=momentum, negative_slope=0.3).double()
    stock = nn.Sequential(layer(), bn(4, 1e-3, momentum), nn.LeakyReLU(0.3)).double()
    stock.load_state_dict(dict(zip(stock.state_dict(), ours.state_dict().values(), strict=True)))
    return ours, stock, shape


@pytest.mark.parametrize("momentum", [0.1, 0.01, 1.0, None])
@pytest.mark.parametrize("name", BLOCKS)
def test_training_evaluation_and_gradients_are_those_of_stock_torch(name, momentum):
    ours, stock, shape = _pair(name, momentum)
    for step in range(4):
        x = torch.randn(shape, dtype=torch.float64) * (step + 1)
        upstream = torch.randn_like(stock(x).detach())
        for module in (ours, stock):
            module.train(step != 2)
        stock.load_state_dict(dict(zip(stock.state_dict(), ours.state_dict().values(), strict=True)))
        gradients = []
        for module in (ours, stock):
            x.requires_grad_()
            output = module(x)
            gradients.append((output, *torch.autograd.grad(output, [x, *module.parameters()], upstream)))
        for got, expected in zip(*gradients, strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-11, atol=1e-11)
        for got, expected in zip(ours.buffers(), stock.buffers(), strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", BLOCKS)
def test_bn_eval_alone_freezes_the_statistics(name):
    ours, stock, shape = _pair(name, 0.1)
    x = torch.randn(shape, dtype=torch.float64) + 1
    ours.bn.eval()
    stock[1].eval()
    before = ours.bn.running_mean.clone()
    torch.testing.assert_close(ours(x), stock(x), rtol=1e-12, atol=1e-12)
    assert torch.equal(ours.bn.running_mean, before) and ours.bn.num_batches_tracked == 0
    ours.bn.train()
    ours(x)
    assert not torch.equal(ours.bn.running_mean, before) and ours.bn.num_batches_tracked == 1


def test_momentum_and_eps_are_read_at_every_call():
    block = ConvBnAct2d(3, 4, 3, momentum=0.0)
    x = torch.randn(2, 3, 5, 5)
    block(x)
    assert torch.equal(block.bn.running_mean, torch.zeros(4))
    block.bn.momentum = 1.0
    block.bn.eps = 10.0
    flat = block(x)
    torch.testing.assert_close(block.bn.running_mean, block.conv(x).mean((0, 2, 3)))
    block.bn.eps = 1e-5
    assert block(x).std() > 2 * flat.std()


def test_without_running_statistics_every_batch_uses_its_own():
    block = ConvBnAct2d(3, 4, 3)
    block.bn = nn.BatchNorm2d(4, track_running_stats=False)
    x = torch.randn(2, 3, 5, 5)
    torch.testing.assert_close(block.eval()(x), block.train()(x))


def test_parametrisations_of_the_children_are_honoured():
    block = ConvBnAct2d(3, 4, 3, activation="none").eval()
    x = torch.randn(2, 3, 5, 5)
    plain = block(x)
    torch.nn.utils.parametrizations.spectral_norm(block.conv)
    assert not torch.allclose(block(x), plain)
    torch.testing.assert_close(block(x), block.bn(block.conv(x)))


def test_state_dict_keys_are_natural():
    keys = [
        "conv.weight",
        "conv.bias",
        "bn.weight",
        "bn.bias",
        "bn.running_mean",
        "bn.running_var",
        "bn.num_batches_tracked",
    ]
    assert sorted(ConvTransposeBnAct2d(2, 3, 4).state_dict()) == sorted(keys)
    assert sorted(ConvBnAct2d(2, 3, 4, num_classes=5).state_dict()) == sorted(keys)
    assert sorted(LinearBnAct(2, 3).state_dict()) == sorted(key.replace("conv", "linear") for key in keys)
    assert ConvBnAct2d(2, 3, 4, num_classes=5).bn.weight.shape == (5, 3)


@pytest.mark.parametrize("name", BLOCKS)
def test_conditional_blocks_normalise_together_and_scale_by_class(name):
    torch.manual_seed(1)
    make, _, _, shape = BLOCKS[name]
    block = make(num_classes=3, activation="none").double()
    plain = make(activation="none").double()
    plain.load_state_dict({**block.state_dict(), "bn.weight": torch.ones(4), "bn.bias": torch.zeros(4)})
    with torch.no_grad():
        block.bn.weight.normal_()
        block.bn.bias.normal_()
    x = torch.randn(shape, dtype=torch.float64)
    c = torch.tensor([0, 2, 1, 1, 0, 2])
    per_sample = (6, 4) + (1,) * (len(shape) - 2)
    for training in (True, False):
        block.train(training)
        plain.train(training)
        expected = plain(x) * block.bn.weight[c].view(per_sample) + block.bn.bias[c].view(per_sample)
        torch.testing.assert_close(block(x, c), expected, rtol=1e-11, atol=1e-11)
        torch.testing.assert_close(block.bn.running_var, plain.bn.running_var, rtol=1e-12, atol=1e-12)


def test_conditional_batch_norm_stands_alone():
    bn = ConditionalBatchNorm2d(3, 2, momentum=None)
    x = torch.randn(4, 3, 5, 5)
    c = torch.tensor([0, 1, 1, 0])
    torch.testing.assert_close(bn(x, c), nn.BatchNorm2d(3, affine=False)(x))
    bn(x + 2, c)
    torch.testing.assert_close(bn.running_mean, x.mean((0, 2, 3)) + 1)


def test_labels_are_needed_exactly_where_there_are_classes():
    x = torch.randn(2, 3, 5, 5)
    with pytest.raises(ValueError, match=r"c must be int64 \[N\] for 4 classes, got None"):
        ConvBnAct2d(3, 4, 3, num_classes=4)(x)
    with pytest.raises(ValueError, match="c must be None without classes"):
        ConvBnAct2d(3, 4, 3)(x, torch.zeros(2, dtype=torch.int64))
    with pytest.raises(ValueError, match="activation must be one of .* got 'swish'"):
        ConvBnAct2d(3, 4, 3, activation="swish")


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_copies_are_equal_and_independent(clone):
    block = ConvTransposeBnAct2d(3, 4, 4, 2, 1, num_classes=2)
    twin = clone(block)
    x, c = torch.randn(2, 3, 4, 4), torch.tensor([0, 1])
    torch.testing.assert_close(twin(x, c), block(x, c))
    with torch.no_grad():
        twin.bn.weight.zero_()
    assert block.bn.weight.abs().sum() > 0


def test_repr_shows_what_is_fused():
    text = repr(ConvTransposeBnAct2d(3, 4, 4, negative_slope=0.3, num_classes=5))
    assert "activation=leaky_relu, negative_slope=0.3" in text and "num_classes=5" in text
