"""The trained state: generator, discriminator, averaged generator, optimisers; packed for checkpoints and back."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from fastgan import noise
from fastgan.device import autocast
from fastgan.models import Discriminator, Generator
from fastgan.train.options import TrainOptions

_STATISTICS_BATCHES = 16
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


class Networks:
    """Everything a training step changes.

    Attributes:
        generator, discriminator: the networks being trained.
        ema: exponential moving average of the generator's parameters.
        g_optimizer, d_optimizer: Adam.
        scaler: the loss scaler of fp16; does nothing at other precisions.
    """

    def __init__(self, generator: Generator, discriminator: Discriminator, options: TrainOptions) -> None:
        self._options = options
        self.generator = generator.train().to(memory_format=torch.channels_last)
        self.discriminator = discriminator.train().to(memory_format=torch.channels_last)
        self.device = next(generator.parameters()).device
        # The parameters are averaged; BatchNorm's buffers of an average are measured instead, see averaged().
        self.ema = AveragedModel(generator, multi_avg_fn=_moving_average(options.ema), use_buffers=False)
        self.ema.requires_grad_(False)
        betas = (options.beta1, options.beta2)
        self.g_optimizer = torch.optim.Adam(generator.parameters(), options.lr_generator, betas, fused=True)
        self.d_optimizer = torch.optim.Adam(discriminator.parameters(), options.lr_discriminator, betas, fused=True)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=options.precision == "fp16")

    def average(self) -> None:
        """Take the generator's parameters into the average."""
        self.ema.update_parameters(self.generator)

    @torch.no_grad()
    def averaged(self) -> Generator:
        """The averaged generator in evaluation mode, its BatchNorm statistics measured over its own images.

        Running statistics gathered under the raw weights do not belong to the averaged ones; as in BigGAN's
        "standing statistics" (Brock et al. 2018, section 4.1), they are taken from 16 batches of a fixed stream
        of latent vectors with the classes in turn, and are therefore a function of the weights and the seed.
        """
        options, model = self._options, self.ema.module
        norms = [m for m in model.modules() if hasattr(m, "running_mean")]
        momenta = [m.momentum for m in norms]
        for m in norms:
            m.reset_running_stats()
            m.momentum = None
        model.train()
        for k in range(_STATISTICS_BATCHES):
            first = k * options.batch
            z = noise.normal(options.seed, noise.Stream.STATISTICS, first, options.batch, options.z_dim)
            labels = None
            if model.num_classes:
                labels = torch.arange(first, first + options.batch, device=self.device) % model.num_classes
            with autocast(self.device, options.precision):
                model(torch.from_numpy(z).to(self.device), labels)
        for m, momentum in zip(norms, momenta, strict=True):
            m.momentum = momentum
        return model.eval()

    def non_finite(self) -> str | None:
        """The name of a parameter with a value that is not finite, or None."""
        for prefix, network in (("generator", self.generator), ("discriminator", self.discriminator)):
            for name, value in network.named_parameters():
                if not torch.isfinite(value).all():
                    return f"{prefix}.{name}"
        return None

    def pack(self) -> dict[str, dict[str, Tensor]]:
        """The tensors of a checkpoint, by part; `averaged()` has to be called before, for the statistics in `ema`."""
        return {
            "generator": dict(self.generator.state_dict()),
            "ema": dict(self.ema.module.state_dict()),
            "discriminator": dict(self.discriminator.state_dict()),
            "optim": {
                "n_averaged": self.ema.n_averaged,
                **_moments("generator", self.generator, self.g_optimizer),
                **_moments("discriminator", self.discriminator, self.d_optimizer),
            },
        }

    def unpack(self, parts: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Take over the tensors that `pack` gave."""
        self.generator.load_state_dict(parts["generator"])
        self.ema.module.load_state_dict(parts["ema"])
        self.discriminator.load_state_dict(parts["discriminator"])
        optim = parts["optim"]
        self.ema.n_averaged.copy_(optim["n_averaged"])
        _restore("generator", self.generator, self.g_optimizer, optim)
        _restore("discriminator", self.discriminator, self.d_optimizer, optim)


def _moving_average(decay: float) -> Callable[[list[Tensor], list[Tensor], Tensor], None]:
    """Update number n moves the average by 1 - min(decay, (1 + n) / (10 + n)) of the way.

    A young average would otherwise consist of the first weights: after 300 steps at 0.999 still three quarters of
    it. The ramp is that of TensorFlow's ExponentialMovingAverage(num_updates=n).
    """

    @torch.no_grad()
    def update(averages: list[Tensor], currents: list[Tensor], n: Tensor) -> None:
        share = 1 - torch.clamp((1 + n) / (10 + n), max=decay)
        for average, current in zip(averages, currents, strict=True):
            average.lerp_(current, share.to(average.dtype))

    return update


def _moments(prefix: str, network: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    return {
        f"{prefix}/{name}/{moment}": optimizer.state[parameter][moment]
        for name, parameter in network.named_parameters()
        if parameter in optimizer.state
        for moment in _MOMENTS
    }


def _restore(
    prefix: str, network: torch.nn.Module, optimizer: torch.optim.Optimizer, saved: Mapping[str, Tensor]
) -> None:
    for name, parameter in network.named_parameters():
        if f"{prefix}/{name}/step" not in saved:
            continue
        state = {moment: saved[f"{prefix}/{name}/{moment}"] for moment in _MOMENTS}
        for moment in ("exp_avg", "exp_avg_sq"):
            like_parameter = torch.empty_like(parameter, memory_format=torch.preserve_format)
            state[moment] = like_parameter.copy_(state[moment]).detach()
        # fused Adam keeps its step counters where the parameters are
        state["step"] = state["step"].to(parameter.device)
        optimizer.state[parameter] = state
