"""The benchmarked networks as stock torch modules: nothing of ours computes in them."""

import torch
from fastgan.bench.network import EPS, MOMENTUM, SLOPE, Arrays, Layer
from torch import Tensor, nn
from torch.nn import functional as F

from fastgan.models.keras import FlattenNHWC, UnflattenNHWC

_CONV = {"kernel_size": 4, "stride": 2, "padding": 1}


class UnflattenNCHW(UnflattenNHWC):
    """The same map laid out as NCHW, as torch has it by default."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input).contiguous()


class _ByClass:
    """forward(x, c): x [N, C, ...] times and plus the rows c of tables [classes, C]."""

    def _affine(self, x: Tensor, c: Tensor) -> Tensor:
        rows = (*x.shape[:2], *[1] * (x.ndim - 2))
        return torch.addcmul(self.bias[c].view(rows), x, self.weight[c].view(rows))


class ClassAffine(_ByClass, nn.Module):
    """What is left of a folded batch norm by class."""

    def __init__(self, classes: int, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(classes, channels))
        self.bias = nn.Parameter(torch.zeros(classes, channels))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        return self._affine(x, c)


class ClassBatchNorm(_ByClass, nn.BatchNorm2d):
    """Batch norm whose affine map is chosen by class, for [N, C] and [N, C, H, W]."""

    def __init__(self, classes: int, channels: int):
        super().__init__(channels, EPS, MOMENTUM, affine=False)
        self.weight = nn.Parameter(torch.ones(classes, channels))
        self.bias = nn.Parameter(torch.zeros(classes, channels))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        statistics = (self.running_mean, self.running_var)
        x = F.batch_norm(x, *statistics, training=self.training, momentum=self.momentum, eps=self.eps)
        return self._affine(x, c)


class _Labelled(nn.Sequential):
    """A sequence whose layers by class are given the labels too."""

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        for layer in self:
            x = layer(x, c) if isinstance(layer, _ByClass) else layer(x)
        return x


def build(layers: list[Layer], arrays: Arrays | None = None, layout: str = "nhwc") -> nn.Sequential:
    """The network in training mode; `layout` is that of its first map."""
    labelled = any(layer.get("classes") for layer in layers)
    model = (_Labelled if labelled else nn.Sequential)(*[_module(layer, layout) for layer in layers])
    if arrays is not None:
        state = {name: torch.from_numpy(array) for name, array in arrays.items()}
        missing, unexpected = model.load_state_dict(state, strict=False)
        missing = [name for name in missing if not name.endswith("num_batches_tracked")]
        if missing or unexpected:
            raise ValueError(f"build: arrays must be those of the layers, got {missing or unexpected} amiss")
    return model


def _module(layer: Layer, layout: str) -> nn.Module:
    kind, classes = layer["kind"], layer.get("classes", 0)
    if kind == "linear":
        return nn.Linear(layer["inner"], layer["outer"], bias=layer["bias"])
    if kind in ("conv", "conv_transpose"):
        module = nn.Conv2d if kind == "conv" else nn.ConvTranspose2d
        return module(layer["inner"], layer["outer"], bias=layer["bias"], **_CONV)
    if kind == "batch_norm":
        if classes:
            return ClassBatchNorm(classes, layer["channels"])
        return (nn.BatchNorm2d if layer["spatial"] else nn.BatchNorm1d)(layer["channels"], EPS, MOMENTUM)
    if kind == "affine":
        return ClassAffine(classes, layer["channels"])
    if kind == "unflatten":
        return (UnflattenNHWC if layout == "nhwc" else UnflattenNCHW)(layer["height"], layer["width"])
    return {"leaky_relu": lambda: nn.LeakyReLU(SLOPE), "tanh": nn.Tanh, "flatten": FlattenNHWC}[kind]()
