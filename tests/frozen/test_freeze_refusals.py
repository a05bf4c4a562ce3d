"""What a plan does not have is refused in one sentence that names the operation and its place."""

import pytest
import torch
from frozen_models import inputs, make
from torch import nn

import fastgan


class Gated(nn.Module):
    """As the PyTorch DCGAN example has it: a forward that asks for the device."""

    def __init__(self):
        super().__init__()
        self.ngpu = 1
        self.main = nn.Sequential(nn.ConvTranspose2d(6, 4, 4), nn.ReLU(True), nn.ConvTranspose2d(4, 3, 4, 2, 1))

    def forward(self, z):
        if z.is_cuda and self.ngpu > 1:
            return nn.parallel.data_parallel(self.main, z, range(self.ngpu))
        return self.main(z)


class Forward(nn.Module):
    """A linear map, and what `forward` does with it."""

    def __init__(self, forward):
        super().__init__()
        self.linear = nn.Linear(8, 8)
        self.embedding = nn.Embedding(3, 8)
        self.does = forward

    def forward(self, z, c):
        return self.does(self, z, c)


def hooked() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 8))
    model[0].register_forward_hook(lambda module, args, result: 2 * result)
    return model


def infinite() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 8))
    with torch.no_grad():
        model[0].weight[3, 2] = float("inf")
    return model


LINEAR = nn.Linear(4, 8)
REFUSED = {
    "activation": (nn.Sequential(LINEAR, nn.GELU()), "1 (GELU) is none of linear map, batch norm"),
    "nested": (nn.Sequential(LINEAR, nn.Sequential(nn.Softmax(1))), "1.0 (Softmax) is none of"),
    "groups": (nn.Sequential(nn.ConvTranspose2d(4, 8, 4, groups=2)), "0 (ConvTranspose2d) has 2 groups"),
    "dilation": (nn.Sequential(nn.Conv2d(4, 8, 3, padding=2, dilation=2)), "0 (Conv2d) is dilated by (2, 2)"),
    "padding": (nn.Sequential(nn.Conv2d(4, 8, 3, padding=1, padding_mode="reflect")), "0 (Conv2d) pads by reflect"),
    "even": (nn.Sequential(nn.Conv2d(4, 8, 2, padding="same")), "padding 'same' for an even kernel"),
    "statistics": (nn.Sequential(LINEAR, nn.BatchNorm1d(8, track_running_stats=False)), "has no running statistics"),
    "width": (nn.Sequential(LINEAR, nn.Linear(9, 8)), "1 (Linear) must read [N, 9], here it reads [N, 8]"),
    "nothing": (nn.Sequential(nn.ReLU()), "model must have a linear map or a convolution, got Sequential"),
    "small": (nn.Sequential(nn.Conv2d(4, 8, 3)), "0 (Conv2d) gives maps of -1x-1 from 1x1"),
    "hook": (hooked(), "0 (Linear) has forward hooks"),
    "infinite": (infinite(), "0 (Linear) has numbers that are not finite"),
    "control flow": (
        Gated(),
        "does not trace (symbolically traced variables cannot be used as inputs to control flow)",
    ),
    "addition": (Forward(lambda m, z, c: z + m.linear(z)), "add in Forward.forward is none of"),
    "embedding": (Forward(lambda m, z, c: m.linear(z * m.embedding(c))), "embedding (Embedding) in Forward.forward"),
    "branch": (Forward(lambda m, z, c: (m.linear(z), torch.relu(z))[1]), "relu in Forward.forward reads a value that"),
    "in place": (
        Forward(lambda m, z, c: (torch.relu_(x := m.linear(z)), x)[1].tanh()),
        "tanh in Forward.forward reads",
    ),
    "across": (Forward(lambda m, z, c: m.linear(z).view(-1, 4)), "view in Forward.forward does not keep each sample"),
    "slice": (Forward(lambda m, z, c: m.linear(z)[:, :4]), "__getitem__ in Forward.forward does not keep each sample"),
    "unknown": (Forward(lambda m, z, c: m.linear(z.t())), "t in Forward.forward is none of"),
    "across, late": (
        Forward(lambda m, z, c: m.linear(z.transpose(0, 1))),
        "transpose in Forward.forward does not keep",
    ),
    "mixed": (Forward(lambda m, z, c: m.linear(z[[1, 0, 2, 3, 4]])), "linear (Linear) reads values that mix samples"),
    "tuple": (Forward(lambda m, z, c: (m.linear(z), 1)), "Forward.forward must return one tensor"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_a_sentence(case):
    model, sentence = REFUSED[case]
    with pytest.raises(ValueError) as error:
        fastgan.freeze(model)
    said = str(error.value)
    assert said.startswith("freeze: ") and sentence in said and "\n" not in said


def test_a_forward_that_does_not_trace_names_what_to_pass():
    model = Gated().eval()
    with pytest.raises(ValueError, match=r"pass the Sequential that it runs: freeze\(model.main\)"):
        fastgan.freeze(model)
    z = torch.randn(2, 6, 1, 1)
    assert torch.allclose(fastgan.freeze(model.main)(z), model(z), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"output": "png"}, "output must be one of float, uint8, got 'png'"),
        ({"precision": "fp8"}, "precision must be one of fp32, tf32, bf16, fp16, got 'fp8'"),
        ({"output": "uint8"}, r"output must be float for a model that gives \[N, 8\]"),
    ],
)
def test_bad_options(options, sentence):
    with pytest.raises(ValueError, match=f"^freeze: {sentence}"):
        fastgan.freeze(nn.Sequential(LINEAR), **options)


def test_what_is_no_module():
    with pytest.raises(TypeError, match="freeze: model must be an nn.Module, got dict"):
        fastgan.freeze({})
    with pytest.raises(ValueError, match="frozen already"):
        fastgan.freeze(fastgan.freeze(nn.Sequential(LINEAR)))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda z, c: (z[:, 1:], c), r"z must be \[N, 20\], got \[3, 19\]"),
        (lambda z, c: (z.int(), c), "z must have a floating dtype, got int32"),
        (lambda z, c: (z,), r"c must be int64 \[N=3\] with labels from 0 to 9, got None"),
        (lambda z, c: (z, c[:2]), r"c must be int64 \[N=3\].*got torch.int64 \[2\]"),
        (lambda z, c: (z, c.int()), r"c must be int64 \[N=3\].*got torch.int32 \[3\]"),
        (lambda z, c: (z, c + 8), ".*with labels from 0 to 9, got labels from 8 to 15"),
    ],
)
def test_latents_and_labels_that_do_not_fit(change, sentence):
    model = make("keras 28x28x1, ten classes")
    with pytest.raises((ValueError, TypeError), match=f"^frozen generator: {sentence}"):
        fastgan.freeze(model)(*change(*inputs(model, 3)))


def test_labels_for_a_model_without_classes():
    model = make("keras 28x28x1")
    with pytest.raises(ValueError, match=r"c must be None for a model without classes, got \[3\]"):
        fastgan.freeze(model)(*inputs(model, 3), torch.zeros(3, dtype=torch.int64))
