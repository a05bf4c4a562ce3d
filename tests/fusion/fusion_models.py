"""Small models as people write them, each with a trait that a fused one has to cope with."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CONV = {"kernel_size": 4, "stride": 2, "padding": 1}


def weights_init(module: nn.Module) -> None:
    """The usual one: by class name."""
    name = module.__class__.__name__
    if name.find("Conv") != -1:
        nn.init.normal_(module.weight, 0.0, 0.2)
    elif name.find("BatchNorm") != -1:
        nn.init.normal_(module.weight, 1.0, 0.2)
        nn.init.normal_(module.bias, 0.0, 0.2)


class DeviceTest(nn.Module):
    """A forward that cannot be traced around a Sequential that can be fused."""

    def __init__(self, ngpu: int = 1):
        super().__init__()
        self.ngpu = ngpu
        self.main = nn.Sequential(
            nn.ConvTranspose2d(6, 16, 4, 1, 0, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(True),
            nn.ConvTranspose2d(16, 8, **CONV, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(True),
            nn.ConvTranspose2d(8, 3, **CONV, bias=False),
            nn.Tanh(),
        )

    def forward(self, input: Tensor) -> Tensor:
        if input.is_cuda and self.ngpu > 1:
            return nn.parallel.data_parallel(self.main, input, range(self.ngpu))
        return self.main(input)


class Critic(nn.Module):
    """Biases in front of batch norm, in-place activations, a reshape at the end."""

    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(3, 8, **CONV),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(8, 12, **CONV),
            nn.BatchNorm2d(12),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(12, 1, 4),
        )

    def forward(self, input: Tensor) -> Tensor:
        return self.main(input).view(-1, 1).squeeze(1)


class Conditional(nn.Module):
    """Labels through an embedding; upsampling between the convolutions; batch norm with an unusual eps."""

    def __init__(self, classes: int = 5):
        super().__init__()
        self.label_emb = nn.Embedding(classes, 6)
        self.l1 = nn.Sequential(nn.Linear(6, 8 * 4 * 4))
        self.conv_blocks = nn.Sequential(
            nn.BatchNorm2d(8),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.BatchNorm2d(8, 0.8),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.BatchNorm2d(8, 0.8),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(8, 1, 3, padding=1),
            nn.Tanh(),
        )

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        out = self.l1(torch.mul(self.label_emb(labels), noise))
        return self.conv_blocks(out.view(out.shape[0], 8, 4, 4))


class SkipBlock(nn.Module):
    """A level of a U-Net whose first activation works in place on what the skip reads too."""

    def __init__(self, outer: int, inner: int, submodule: nn.Module | None = None, outermost: bool = False):
        super().__init__()
        self.outermost = outermost
        below = inner if submodule is None else 2 * inner
        down, middle = nn.Conv2d(outer, inner, **CONV, bias=False), [] if submodule is None else [submodule]
        up = nn.ConvTranspose2d(below, outer, **CONV, bias=outermost)
        if outermost:
            layers = [down, *middle, nn.ReLU(True), up, nn.Tanh()]
        elif submodule is None:
            layers = [nn.LeakyReLU(0.2, True), down, nn.ReLU(True), up, nn.BatchNorm2d(outer)]
        else:
            normed = [nn.LeakyReLU(0.2, True), down, nn.BatchNorm2d(inner)]
            layers = [*normed, *middle, nn.ReLU(True), up, nn.BatchNorm2d(outer)]
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        if self.outermost:
            return self.model(x)
        return torch.cat([x, self.model(x)], 1)


def unet() -> nn.Module:
    """Three levels, 16x16."""
    return SkipBlock(3, 6, SkipBlock(6, 8, SkipBlock(8, 10)), outermost=True)


class Functional(nn.Module):
    """A U-Net written out in forward: functional activations, skips that are read twice, an in-place one among them."""

    def __init__(self):
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(3, 8, **CONV), nn.Conv2d(8, 12, **CONV, bias=False)
        self.norm2, self.norm3 = nn.BatchNorm2d(12), nn.BatchNorm2d(8)
        self.middle = nn.Sequential(nn.Conv2d(12, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12))
        self.up1, self.up2 = nn.ConvTranspose2d(12, 8, **CONV), nn.ConvTranspose2d(16, 3, **CONV)
        self.scale = nn.Parameter(torch.full((12, 1, 1), 0.7))

    def forward(self, x: Tensor) -> Tensor:
        first = self.down1(x)
        second = self.norm2(self.down2(1.5 * first))
        second = self.middle(F.relu(second, inplace=True)).relu_() * self.scale
        out = torch.relu(self.norm3(self.up1(second)))
        out = torch.cat([out, F.leaky_relu_(first, 0.1)], dim=1)  # `first` changes after it was read
        return torch.tanh(self.up2(out))


class Flags(nn.Module):
    """What a forward may look up: attributes, its mode, arguments with defaults."""

    def __init__(self, depth: int = 2):
        super().__init__()
        self.use_norm, self.gain, self.rate = True, 2.0, 0.25
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(6, 6, 3, padding=1, bias=False) for _ in range(depth))
        self.norms = nn.ModuleList(nn.BatchNorm2d(6) for _ in range(depth))
        self.absent = None

    def forward(self, x: Tensor, extra: Tensor | None = None, features: bool = False) -> Tensor:
        x = F.relu(self.first(x))
        if extra is not None:
            x = x + extra[:, :, None, None]
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = conv(x)
            if self.use_norm:
                x = norm(x)
            x = F.leaky_relu(x, 0.2)
            x = F.dropout(x, self.rate, self.training)
        if self.absent is not None:
            x = self.absent(x)
        return (x * self.gain, x.mean()) if features else x * self.gain


class Spectral(nn.Module):
    """Convolutions under the spectral norm that works by a hook."""

    def __init__(self):
        super().__init__()
        norm = nn.utils.spectral_norm
        self.first = nn.Sequential(norm(nn.Conv2d(3, 8, **CONV)), nn.LeakyReLU(0.2, inplace=True))
        self.second = nn.Sequential(
            norm(nn.Conv2d(8, 12, **CONV)),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(12, 12, 3, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(12, 1, 4),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        first = self.first(x)
        second = self.second(first)
        return torch.sigmoid(second), [first, second]


def images() -> tuple[Tensor, ...]:
    return (torch.randn(4, 3, 16, 16),)


MODELS = {
    "device_test": (DeviceTest, lambda: (torch.randn(4, 6, 1, 1),)),
    "critic": (Critic, images),
    "conditional": (Conditional, lambda: (torch.randn(4, 6), torch.randint(0, 5, (4,)))),
    "unet": (unet, images),
    "functional": (Functional, images),
    "flags": (Flags, images),
    "spectral": (Spectral, images),
}


def make(name: str, seed: int = 0) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """A model and arguments for it, both a function of the seed."""
    torch.manual_seed(seed)
    kind, arguments = MODELS[name]
    return kind(), arguments()


def flat(output) -> Tensor:
    """Everything a model returned as one vector."""
    if isinstance(output, Tensor):
        return output.reshape(-1)
    return torch.cat([flat(each) for each in output])


def call(model: nn.Module, arguments: tuple[Tensor, ...], **keywords) -> Tensor:
    """The output on copies of the arguments: some models write into what they get."""
    return flat(model(*(each.clone() for each in arguments), **keywords))
