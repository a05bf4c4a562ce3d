"""First weights: which law each parameter follows, drawn from torch's generator or from a seed of ours.

Convolution, linear and embedding weights are N(0, 0.02), batch norm weights N(1, 0.02), every bias 0: the
rule of Radford, Metz and Chintala, "Unsupervised representation learning with deep convolutional GANs"
(2016), section 4. Classifiers use He's N(0, sqrt(2 / fan_in)) instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from fastgan import noise

__all__ = ["from_seed", "from_torch", "initialise"]

Law = tuple[float, float]  # mean, standard deviation
Draw = Callable[[int, Tensor], Tensor]


def from_torch(ordinal: int, parameter: Tensor) -> Tensor:
    """Standard normal numbers like `parameter`, from torch's global generator."""
    return torch.randn_like(parameter)


def from_seed(seed: int, stream: noise.Stream, first: int = 0) -> Draw:
    """Standard normal numbers that depend on seed and stream alone.

    Parameter number i is sample first + i, read in the order of its indices: float32 as
    `fastgan.noise.normal`.
    """

    def draw(ordinal: int, parameter: Tensor) -> Tensor:
        numbers = noise.normal(seed, stream, first + ordinal, 1, parameter.numel())
        return torch.from_numpy(numbers).view(parameter.shape)

    return draw


@torch.no_grad()
def initialise(network: nn.Module, draw: Draw, law: str = "gan") -> None:
    """Give every parameter its first value and reset the running statistics of every batch norm.

    draw(ordinal, parameter) gives standard normal numbers; ordinal counts `network.parameters()`.
    law: "gan" (N(0, 0.02)) or "classifier" (He). Parameters on 'meta' have no values: nothing is drawn for them,
    which in torch would cost the import of its tracer, a second.
    """
    laws = dict(_laws(network, law))
    for ordinal, parameter in enumerate(network.parameters()):
        mean, deviation = laws[parameter]
        if parameter.is_meta:
            continue
        if deviation:
            parameter.copy_(draw(ordinal, parameter).to(parameter.device) * deviation + mean)
        else:
            parameter.fill_(mean)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.reset_running_stats()


def _laws(network: nn.Module, law: str) -> Iterator[tuple[Tensor, Law]]:
    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if name == "bias":
                yield parameter, (0.0, 0.0)
            elif isinstance(module, nn.modules.batchnorm._BatchNorm):
                yield parameter, (1.0, 0.02 if law == "gan" else 0.0)
            elif law == "gan":
                yield parameter, (0.0, 0.02)
            else:
                yield parameter, (0.0, (2.0 / parameter[0].numel()) ** 0.5)
