"""The generator: latent vectors (and labels) to images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from fastgan.models import dcgan, keras
from fastgan.models.initialise import from_seed, from_torch, initialise
from fastgan.models.network import Network, check_config, json_config
from fastgan.noise import Stream

__all__ = ["Generator"]

_PRESETS = {"keras": keras.generator_layers, "dcgan": dcgan.generator_layers}


class Generator(Network):
    """A convolutional generator.

    size: (height, width) = (b * 2^k, b' * 2^k), see `fastgan.models.check_size`; channels: 1 to 4;
    z_dim: length of a latent vector; width: channels of the last hidden map; num_classes: 0 for none,
    else every batch norm has one affine map per class; preset: "keras" or "dcgan" (see those modules).

    New weights follow `fastgan.models.initialise` from torch's global generator; `init_weights` makes them a
    function of a seed. `config` rebuilds the same model: `Generator(**g.config)`.
    """

    def __init__(
        self,
        size: Sequence[int] = (64, 64),
        channels: int = 3,
        z_dim: int = 100,
        width: int = 64,
        num_classes: int = 0,
        preset: str = "keras",
    ):
        limits = {"channels": (channels, 1), "z_dim": (z_dim, 1), "width": (width, 1)}
        limits["num_classes"] = (num_classes, 0)
        size = check_config("Generator", size, preset, _PRESETS, limits)
        super().__init__(*_PRESETS[preset](size, channels, z_dim, width, num_classes))
        self.size = size
        self.channels = channels
        self.z_dim = z_dim
        self.width = width
        self.num_classes = num_classes
        self.preset = preset
        initialise(self, from_torch)

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments as JSON values."""
        return json_config(self, ("size", "channels", "z_dim", "width", "num_classes", "preset"))

    def init_weights(self, seed: int) -> Generator:
        """Start again from weights that are a function of the seed alone (stream INIT from sample 0)."""
        initialise(self, from_seed(seed, Stream.INIT))
        return self

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """z [N, z_dim], c int64 [N] (exactly where there are classes) to images [N, C, H, W] in [-1, 1].

        Raises ValueError in one sentence for shapes and labels that do not fit.
        """
        return self._run(self._check_latents(z, c), c, ())[0]

    def features(self, z: Tensor, c: Tensor | None = None, taps: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Inner activations by name: "input" (the first map), "up1" .. and "image"; all of them for None.

        Each is [N, C_i, H_i, W_i], after its activation. One forward pass, with batch norms in the mode
        they are in. Raises ValueError listing the names for one that does not exist.
        """
        return self._run(self._check_latents(z, c), c, self._wanted(taps))[1]

    def _check_latents(self, z: Tensor, c: Tensor | None) -> Tensor:
        if z.ndim != 2 or z.shape[1] != self.z_dim:
            raise ValueError(f"Generator: z must be [N, z_dim={self.z_dim}], got {list(z.shape)}")
        self._check_labels(c, z.shape[0])
        return z.unflatten(1, (-1, 1, 1)) if self.preset == "dcgan" else z
