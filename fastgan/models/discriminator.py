"""The discriminator: images (and labels) to one logit each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from fastgan.models import dcgan, keras
from fastgan.models.initialise import from_seed, from_torch, initialise
from fastgan.models.network import Network, check_config, json_config
from fastgan.noise import Stream

__all__ = ["Discriminator"]

_PRESETS = {"keras": keras.discriminator_layers, "dcgan": dcgan.discriminator_layers}
_FIRST_SAMPLE = 1 << 32  # keeps its initial weights apart from the generator's


class Discriminator(Network):
    """A convolutional discriminator whose output is a logit: large for real.

    size, channels, width, preset: as for `Generator` (width: channels of the first map).
    num_classes: 0 for none, else a projection discriminator (Miyato and Koyama, "cGANs with projection
    discriminator", 2018): logit = head(h) + <embed[c], sum of h over space>, h the last map.

    New weights and `config` as for `Generator`.
    """

    def __init__(
        self,
        size: Sequence[int] = (64, 64),
        channels: int = 3,
        width: int = 64,
        num_classes: int = 0,
        preset: str = "keras",
    ):
        limits = {"channels": (channels, 1), "width": (width, 1), "num_classes": (num_classes, 0)}
        size = check_config("Discriminator", size, preset, _PRESETS, limits)
        main, taps, features = _PRESETS[preset](size, channels, width)
        super().__init__(main, taps)
        if num_classes:
            self.embed = nn.Embedding(num_classes, features)
        self.size = size
        self.channels = channels
        self.width = width
        self.num_classes = num_classes
        self.preset = preset
        initialise(self, from_torch)

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments as JSON values."""
        return json_config(self, ("size", "channels", "width", "num_classes", "preset"))

    def init_weights(self, seed: int) -> Discriminator:
        """Start again from weights that are a function of the seed alone (stream INIT from sample 2^32)."""
        initialise(self, from_seed(seed, Stream.INIT, _FIRST_SAMPLE))
        return self

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """x [N, C, H, W] in [-1, 1], c int64 [N] (exactly where there are classes) to logits [N].

        Raises ValueError in one sentence for shapes and labels that do not fit.
        """
        self._check_images(x)
        self._check_labels(c, x.shape[0])
        if not self.num_classes:
            return self._run(x, None, ())[0].flatten()
        last = self.taps[-1]
        logits, found = self._run(x, None, (last,))
        return logits.flatten() + (self.embed(c) * found[last].sum((2, 3))).sum(1)

    def features(self, x: Tensor, taps: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Inner activations by name: "down1", "down2" ..; all of them for None.

        Each is [N, C_i, H_i, W_i], after its activation. One forward pass, with batch norms in the mode
        they are in; labels play no part in it. Raises ValueError listing the names for one that does not
        exist.
        """
        self._check_images(x)
        return self._run(x, None, self._wanted(taps))[1]

    def _check_images(self, x: Tensor) -> None:
        if x.ndim != 4 or tuple(x.shape[1:]) != (self.channels, *self.size):
            height, width = self.size
            raise ValueError(
                f"Discriminator: x must be [N, C={self.channels}, H={height}, W={width}], got {list(x.shape)}"
            )
