"""What a launch needs for ds and dt: results, partial sums and counters (kernels/sums.py fills them)."""

import torch
from fastgan.kernels import workspace
from fastgan.kernels.geometry import Rows
from torch import Tensor


class SumBuffers:
    """ds and dt are float32 [C], or [N, C] where tiles are cut by sample; None where not needed, as all else then."""

    def __init__(
        self, like: Tensor, channels: int, columns: int, phases: int, plan: Rows, need_scale: bool, need_shift: bool
    ) -> None:
        """like: a tensor [N, ...] on the device; columns: blocks of channels; phases: each of plan.tiles tiles."""
        samples = like.shape[0]

        def empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.empty(shape, dtype=dtype, device=like.device)

        rows = (samples, channels) if plan.by_sample else (channels,)
        self.ds = empty(*rows) if need_scale else None
        self.dt = empty(*rows) if need_shift else None
        self.partial = self.groups = self.counters = None
        tiles = phases * plan.tiles
        self.group_tiles = workspace.group_size(tiles)
        if not (need_scale or need_shift):
            return
        if plan.by_sample:
            self.partial = empty(phases * plan.pieces, samples, 2, channels)
            self.counters = workspace.counters(columns * (plan.tiles // plan.pieces), like.device)
        else:
            groups = -(-tiles // self.group_tiles)
            self.partial = empty(tiles, 2, channels)
            self.groups = empty(groups, 2, channels, dtype=torch.float64)
            self.counters = workspace.counters(columns * (groups + 1), like.device)

    def results(self, scale: Tensor | None, shift: Tensor | None, absent: Tensor) -> tuple[Tensor, Tensor]:
        """ds and dt in the shapes of scale and shift; `absent` for one that is not needed."""
        return _shaped(self.ds, scale, absent), _shaped(self.dt, shift, absent)


def _shaped(sums: Tensor | None, vector: Tensor | None, absent: Tensor) -> Tensor:
    if sums is None:
        return absent
    # One of the two vectors may be for all samples while the other is by sample.
    return sums.view(vector.shape) if sums.numel() == vector.numel() else sums.sum(0, keepdim=True)
