"""FrozenGenerator: a plan and its numbers as a module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fastgan.frozen.graphs import Graphs, is_captured
from fastgan.ops import frozen_generator as op
from fastgan.reference.frozen_generator import OUTPUTS, PRECISIONS, Plan, encode

__all__ = ["FrozenGenerator"]


class FrozenGenerator(nn.Module):
    """A frozen generator, made by `fastgan.freeze` or `fastgan.frozen.load`.

    frozen(z, c=None): z [N, *input_shape] (or [N, F] where that is one pixel) in any floating dtype, c int64 [N]
    exactly where there are classes. Returns float32 [N, C, H, W] with the memory of [N, H, W, C], [N, F] where the
    model ends in a flat vector, or with output "uint8" pixels [N, H, W, C]. Numbers stay float32 under `.half()`,
    `.to(dtype)` and autocast. Without derivative: a backward pass through it raises RuntimeError.

    Attributes: plan (`fastgan.reference.frozen_generator.Plan`), output, batch_invariant, precision, z_dim (numbers
    in a latent), num_classes, size (H, W), channels. Buffers hold the folded numbers under the plan's names; they
    change by `load_state_dict` and `.to(device)` alone.

    Copies, pickles, compiles and exports as any module; calls from several threads are safe. The bytes of an image are
    as `freeze` promises.
    """

    def __init__(
        self,
        plan: Plan,
        tensors: Sequence[Tensor],
        output: str = "float",
        batch_invariant: bool = True,
        precision: str = "fp32",
    ):
        super().__init__()
        for argument, value, choices in (("output", output, OUTPUTS), ("precision", precision, tuple(PRECISIONS))):
            if value not in choices:
                raise ValueError(f"freeze: {argument} must be one of {', '.join(choices)}, got {value!r}")
        if output == "uint8" and len(plan.image) != 3:
            raise ValueError(f"freeze: output must be float for a model that gives [N, {plan.image[0]}], got 'uint8'")
        self.plan = plan
        self.output = output
        self.batch_invariant = batch_invariant
        self.precision = precision
        self.num_classes = plan.num_classes
        self.z_dim = torch.Size(plan.input_shape).numel()
        channels, *size = plan.image if len(plan.image) == 3 else (*plan.image, 1, 1)
        self.channels = channels
        self.size = tuple(size)
        self._program = encode(plan.steps)
        for name, tensor in zip(plan.names, tensors, strict=True):
            self.register_buffer(name, tensor)
        self._repack()

    def tensors(self) -> list[Tensor]:
        """The folded numbers in the order in which the plan's steps refer to them."""
        return [self._buffers[name] for name in self.plan.names]

    @property
    def backend(self) -> str:
        """The backend that runs it where its numbers are now."""
        return op.backend(next(self.buffers()).device.type, self.precision)

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Raises ValueError or TypeError in one sentence for latents and labels that do not fit."""
        z = self._rows(z)
        self._check_labels(c, z.shape[0])
        # What compiles or exports sees the operator alone, which has no place for weights packed at their first use.
        by_cuda = not torch.compiler.is_compiling() and op.backend(z.device.type, self.precision) == "cuda"
        result = self._graphs.run(self._by_cuda, z, c) if by_cuda else self._call(self._packed, z, c)
        return result if len(self.plan.image) == 3 else result.flatten(1)

    def _call(self, packed: list[Tensor], z: Tensor, c: Tensor | None) -> Tensor:
        program, slopes = self._program
        options = program, slopes, (self.channels, *self.size), self.output, self.precision, self.batch_invariant
        return op.frozen_generator(z, c, self.tensors(), packed, *options)

    def _by_cuda(self, z: Tensor, c: Tensor | None) -> Tensor:
        """On weights that are packed at the first call: without one they would take their memory twice."""
        packed = self._packed_for_cuda
        if packed is None:
            with torch.inference_mode(False), torch.no_grad():
                packed = op.pack_for_cuda(self.tensors(), self.plan.steps, self.precision)
            # Packed while somebody records, they are his graph's, and there at its first replay only.
            if not is_captured(z):
                if z.device.type == "cuda":  # other streams are to find them ready
                    torch.cuda.current_stream(z.device).synchronize()
                self._packed_for_cuda = packed
        return self._call(packed, z, c)

    def extra_repr(self) -> str:
        classes = f", num_classes={self.num_classes}" if self.num_classes else ""
        steps = f"{len(self.plan.steps)} steps"
        return f"{list(self.plan.input_shape)} -> {list(self.plan.image)}, {steps}, output={self.output}{classes}"

    def _rows(self, z: Tensor) -> Tensor:
        """z as float32 [N, F] in the order H, W, C."""
        shape = self.plan.input_shape
        flat = len(shape) == 1 or shape[1:] == (1, 1)
        fits = tuple(z.shape[1:]) == shape or (flat and tuple(z.shape[1:]) in ((self.z_dim,), (self.z_dim, 1, 1)))
        if not fits:
            raise ValueError(f"frozen generator: z must be [N, {', '.join(map(str, shape))}], got {list(z.shape)}")
        if not z.is_floating_point():
            raise TypeError(
                f"frozen generator: z must have a floating dtype, got {str(z.dtype).removeprefix('torch.')}"
            )
        if z.ndim == 4:
            z = z.permute(0, 2, 3, 1)
        return z.to(torch.float32).flatten(1)

    def _check_labels(self, c: Tensor | None, samples: int) -> None:
        if not self.num_classes:
            if c is not None:
                raise ValueError(f"frozen generator: c must be None for a model without classes, got {list(c.shape)}")
            return
        expected = f"int64 [N={samples}] with labels from 0 to {self.num_classes - 1}"
        if c is None:
            raise ValueError(f"frozen generator: c must be {expected}, got None")
        if c.dtype != torch.int64 or c.shape != (samples,):
            raise ValueError(f"frozen generator: c must be {expected}, got {c.dtype} {list(c.shape)}")
        # Looking at values would wait for a GPU and break a compiled graph; there the lookup itself fails.
        if c.device.type == "cpu" and samples and not torch.compiler.is_compiling():
            low, high = c.min().item(), c.max().item()
            if low < 0 or high >= self.num_classes:
                raise ValueError(f"frozen generator: c must be {expected}, got labels from {low} to {high}")

    def _repack(self) -> None:
        self._packed = op.pack(self.tensors(), self.plan.steps)
        self._packed_for_cuda: list[Tensor] | None = None
        self._graphs = Graphs()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> FrozenGenerator:
        def keep_dtype(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            return moved if moved.dtype == tensor.dtype else tensor.to(moved.device)

        super()._apply(keep_dtype, recurse)
        self._repack()
        return self

    def _load_from_state_dict(self, *arguments: Any) -> None:
        super()._load_from_state_dict(*arguments)
        self._repack()

    def _replicate_for_data_parallel(self) -> FrozenGenerator:
        # A replica's numbers live on another device, and for one call.
        replica = super()._replicate_for_data_parallel()
        replica._packed_for_cuda, replica._graphs = None, Graphs()
        return replica

    def __getstate__(self) -> dict[str, Any]:
        made_again = "_packed", "_packed_for_cuda", "_graphs"
        return {name: value for name, value in self.__dict__.items() if name not in made_again}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._repack()
