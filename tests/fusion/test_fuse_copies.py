"""What people do with a model besides calling it: copy, store, slice, replicate, initialise, take it back."""

import copy
import io
import pickle
from collections import OrderedDict

import pytest
import torch
from fusion_models import MODELS, Critic, DeviceTest, Functional, call, make, weights_init
from support.processes import run_python
from torch import nn

import fastgan
from fastgan import backends


def fused(name, seed=0):
    model, arguments = make(name, seed)
    return fastgan.fuse_(model).eval(), arguments


def fused_classes(model):
    return [type(module) for module in model.modules()]


def convolutions(model, arguments):
    """How many chain operators a call runs."""
    with backends.record() as runs:
        call(model, arguments)
    return sum(run.op.startswith("affine_act_conv") for run in runs)


def through_torch_save(model):
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "oldest pickle": lambda model: pickle.loads(pickle.dumps(model, protocol=0)),
    "torch.save": through_torch_save,
    "copy": copy.copy,
    "replica": lambda model: replicated(model),
}


def replicated(model):
    """What torch.nn.parallel.replicate does for one device: modules share nothing but tensors that are no leaves."""
    replicas = {module: module._replicate_for_data_parallel() for module in model.modules()}
    for module, replica in replicas.items():
        for name, child in module._modules.items():
            replica._modules[name] = replicas[child] if child is not None else None
        for name, parameter in module._parameters.items():
            setattr(replica, name, None if parameter is None else parameter * 1.0)
        replica._buffers = dict(module._buffers)
    return replicas[model]


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("name", MODELS)
def test_a_copy_is_fused_too_and_gives_the_same(name, how):
    model, arguments = fused(name)
    expected = call(model, arguments)
    if how != "replica":  # torch's old spectral norm leaves a tensor behind that torch itself cannot copy
        model = fused(name)[0]
    twin = COPIES[how](model)
    assert twin is not model and fused_classes(twin) == fused_classes(model)
    assert torch.equal(call(twin, arguments), expected)
    assert convolutions(twin, arguments) == convolutions(model, arguments) > 0


def test_a_replica_trains_the_original():
    model, arguments = make("functional")
    plain = copy.deepcopy(model)
    fastgan.fuse_(model)
    call(replicated(model), arguments).square().sum().backward()
    call(plain, arguments).square().sum().backward()
    for (name, one), other in zip(plain.named_parameters(), model.parameters(), strict=True):
        if name != "up1.bias":  # in front of a batch norm
            torch.testing.assert_close(other.grad, one.grad, rtol=1e-3, atol=1e-4, msg=name)


def test_a_pickle_opens_in_another_process(tmp_path):
    model, (x,) = fused("functional")
    torch.save({"model": model, "x": x, "y": model(x.clone())}, tmp_path / "model.pt")
    code = f"""
import sys
sys.path.insert(0, {str(__file__.rpartition("/")[0])!r})
import torch
from fastgan import backends
torch.set_num_threads(1)
stored = torch.load({str(tmp_path / "model.pt")!r}, weights_only=False)
with backends.record() as runs:
    y = stored["model"](stored["x"].clone())
print((y - stored["y"]).abs().max().item(), len(runs), type(stored["model"]).__qualname__)
"""
    difference, ran, name = run_python(code, FASTGAN_BACKEND="reference").split()
    assert float(difference) < 1e-6 and int(ran) > 5 and name == "Functional"


@pytest.mark.parametrize("name", MODELS)
def test_keys_children_names_and_attributes_stay(name):
    model, _ = make(name)
    plain = copy.deepcopy(model)
    before = [(path, id(module), dict(vars(module))) for path, module in model.named_modules()]
    assert fastgan.fuse_(model) is model
    assert any(type(module) not in (type(m) for m in plain.modules()) for module in model.modules())
    for (path, key, attributes), (path_now, module) in zip(before, model.named_modules(), strict=True):
        assert (path, key) == (path_now, id(module)) and vars(module) == attributes
    for module, twin in zip(model.modules(), plain.modules(), strict=True):
        ours, stock = type(module), type(twin)
        assert isinstance(module, stock) and issubclass(ours, stock)
        assert (ours.__name__, ours.__qualname__, ours.__module__) == (
            stock.__name__,
            stock.__qualname__,
            stock.__module__,
        )
    assert repr(model) == repr(plain)
    assert list(model.state_dict()) == list(plain.state_dict())
    model.load_state_dict(make(name, seed=1)[0].state_dict())


@pytest.mark.parametrize("name", MODELS)
def test_twice_is_once_and_back_is_back(name):
    model, arguments = make(name)
    kinds = fused_classes(model)
    fastgan.fuse_(model)
    once = fused_classes(model)
    assert fused_classes(fastgan.fuse_(model)) == once != kinds
    assert fastgan.unfuse_(model) is model and fused_classes(model) == kinds
    assert fused_classes(fastgan.unfuse_(model)) == kinds
    assert torch.isfinite(call(model, arguments)).all()
    assert fused_classes(fastgan.fuse_(model)) == once  # the classes are made once


def test_initialisation_by_class_name():
    model, plain = fastgan.fuse_(DeviceTest()), DeviceTest()
    for each in (model, plain):
        torch.manual_seed(3)
        each.apply(weights_init)
    for one, other in zip(plain.state_dict().values(), model.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_slices_and_containers_like_it():
    model, (x,) = fused("device_test")
    plain = fastgan.unfuse_(copy.deepcopy(model))
    head = model.main[:3]
    assert [id(child) for child in head] == [id(child) for child in model.main][:3]
    torch.testing.assert_close(head(x), plain.main[:3](x))
    assert convolutions(head, (x,)) == 1
    kind = type(model.main)
    made = kind(OrderedDict(a=nn.Conv2d(6, 2, 1), b=nn.ReLU()))
    assert isinstance(made, nn.Sequential) and made(x).min() >= 0
    model.main[1] = nn.Identity()
    plain.main[1] = nn.Identity()
    torch.testing.assert_close(model(x), plain(x))
    del model.main[-1], plain.main[-1]
    torch.testing.assert_close(model(x), plain(x))
    model.main.append(nn.Flatten()), plain.main.append(nn.Flatten())
    torch.testing.assert_close(model(x), plain(x))
    assert len(kind()) == 0 and kind()(x) is x


def test_a_new_instance_of_a_traced_class_is_fused_when_it_is_told_to_be():
    model, (x,) = fused("flags")
    deeper = type(model)(depth=3).eval()  # what `type(netG)(...)` gives; its loop is longer than the one traced
    plain = MODELS["flags"][0](depth=3).eval()
    plain.load_state_dict(deeper.state_dict())
    torch.testing.assert_close(deeper(x), plain(x))
    assert convolutions(deeper, (x,)) == 0
    assert convolutions(fastgan.fuse_(deeper), (x,)) == 4
    torch.testing.assert_close(deeper(x), plain(x))
    torch.testing.assert_close(model(x), fastgan.unfuse_(copy.deepcopy(model))(x))


def test_averaged_models():
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    model, (x,) = make("functional")
    results = []
    for each in (copy.deepcopy(model), fastgan.fuse_(model)):
        ema = AveragedModel(each, multi_avg_fn=get_ema_multi_avg_fn(0.5), use_buffers=True)
        for _ in range(2):
            with torch.no_grad():
                for parameter in each.parameters():
                    parameter.mul_(0.9)
            ema.update_parameters(each)
        results.append(ema.eval()(x.clone()))
    torch.testing.assert_close(*results, rtol=1e-5, atol=1e-6)
    assert convolutions(ema, (x,)) == 5


def test_dtype_and_device_moves():
    for name in ("critic", "functional"):
        model, (x,) = make(name)
        plain = copy.deepcopy(model).double()
        fastgan.fuse_(model).to(torch.float64)
        torch.testing.assert_close(model(x.double()), plain(x.double()), rtol=1e-10, atol=1e-12)
        model.to("meta")
        assert model(torch.empty(4, 3, 16, 16, dtype=torch.float64, device="meta")).device.type == "meta"


def test_classes_are_shared_and_let_go():
    import gc
    import weakref

    class Local(Critic):
        def forward(self, input):
            return self.main(input).relu()

    one, other = fastgan.fuse_(Local()), fastgan.fuse_(Local())
    assert type(one.main) is type(other.main) and type(one) is type(other)
    assert type(one).__qualname__ == Local.__qualname__ != Local.__name__
    traced = fastgan.fuse_(Functional())
    assert type(traced) is type(fastgan.fuse_(Functional())) is not Functional
    kind = weakref.ref(type(one.main))
    assert kind() is not None
    gone = weakref.ref(Local)
    del one, other, Local
    gc.collect()
    assert gone() is None


def test_a_register_of_classes_does_not_hear_of_the_generated_one():
    register = {}

    class Registered(nn.Sequential):
        def __init_subclass__(cls, *, name, **keywords):
            register[name] = cls

    class Known(Registered, name="known"):
        pass

    model = fastgan.fuse_(Known(nn.Conv2d(3, 4, 3), nn.ReLU()))
    assert type(model) is not Known and register == {"known": Known}
    assert type(model).__mro__[1:3] == (Known, Registered)


def test_a_model_that_copies_and_stores_itself_its_own_way():
    class Own(nn.Sequential):
        def __deepcopy__(self, memo):
            made = type(self)(*(copy.deepcopy(child, memo) for child in self))
            made.copied = True
            return made

        def __reduce__(self):
            return Own._rebuild, (list(self),)

        @staticmethod
        def _rebuild(layers):
            return Own(*layers)

    model = fastgan.fuse_(Own(nn.Conv2d(3, 4, 3), nn.ReLU()))
    twin = copy.deepcopy(model)
    assert twin.copied and type(twin) is type(model)
    function, (rebuild, arguments) = model.__reduce_ex__(4)
    assert type(function(rebuild, arguments)) is type(model) is not Own
