"""On which models, batches and lengths a device is measured."""

from typing import NamedTuple

Model = tuple[str, tuple[int, int], int]  # preset, (height, width), channels


class Scope(NamedTuple):
    """models and width: whose layers. batches: images a call; network_batch: of whole networks. logits: of the losses.

    rounds: turns of each backend; seconds: least length of one turn.
    """

    models: tuple[Model, ...] = (("keras", (64, 64), 3), ("dcgan", (64, 64), 3), ("keras", (28, 28), 1))
    width: int = 64
    batches: tuple[int, ...] = (16, 64, 256)
    network_batch: int = 64
    logits: tuple[int, ...] = (64, 4096)
    rounds: int = 5
    seconds: float = 0.01
