"""Takes a launcher's kernel launches before they reach a driver, so that they can be compiled and emulated.

The launcher itself runs as it is, on CPU tensors: its grids, its arguments and its options are part of the test.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from triton.runtime.jit import JITFunction

from .compilation import NVIDIA_TARGETS, Compiled, Specialisation, compile_kernel, specialise
from .ptx import TRITON_HIDDEN_POINTERS, Counters, EmulationError, Order, WrittenBytes, launch
from .resources import SHARED_LIMITS

_EMPTY = {
    torch.ops.aten.empty.memory_format,
    torch.ops.aten.empty_strided.default,
    torch.ops.aten.empty_like.default,
    torch.ops.aten.new_empty.default,
    torch.ops.aten.new_empty_strided.default,
}


@dataclass(frozen=True)
class Launch:
    """One call `kernel[grid](*args, **kwargs)`; kwargs hold Triton's options too."""

    kernel: JITFunction
    grid: tuple[int, int, int]
    args: tuple
    kwargs: dict[str, Any]

    @property
    def name(self) -> str:
        return self.kernel.__name__

    @property
    def arguments(self) -> dict[str, Any]:
        """Every parameter of the kernel, defaults included."""
        own = {name: value for name, value in self.kwargs.items() if name in self.kernel.signature.parameters}
        bound = self.kernel.signature.bind(*self.args, **own)
        bound.apply_defaults()
        return bound.arguments

    def specialise(self, target: str) -> Specialisation:
        return specialise(self.kernel, target, self.args, self.kwargs)

    def compile(self, target: str) -> Compiled:
        return compile_kernel(self.specialise(target))

    def run(
        self,
        target: str,
        order: Order,
        written: WrittenBytes | None = None,
        count: bool = True,
        edit: Callable[[str], str] = str,
    ) -> Counters | None:
        """Emulate this launch on its tensors, in place; edit: its PTX into what runs instead."""
        if target not in NVIDIA_TARGETS:
            raise ValueError(f"only {', '.join(NVIDIA_TARGETS)} have PTX to emulate, got {target!r}")
        specialisation = self.specialise(target)
        compiled = compile_kernel(specialisation)
        if compiled.metadata["global_scratch_size"] or compiled.metadata["profile_scratch_size"]:
            raise NotImplementedError(f"{self.name}: a kernel with scratch memory in global memory")
        asked, available = compiled.shared_bytes, SHARED_LIMITS[target]
        if asked > available:
            raise EmulationError(f"{self.name} asks for {asked} bytes of shared memory, {target} has {available}")
        return launch(
            edit(compiled.text),
            self.grid,
            compiled.threads,
            [self.arguments[name] for name in specialisation.parameters],
            compiled.shared_bytes,
            hidden_pointers=TRITON_HIDDEN_POINTERS,
            written=written,
            order=order,
            count=count,
        )


@dataclass
class EmulatedLaunch:
    launch: Launch
    compiled: Compiled
    counters: Counters | None = field(repr=False)


@contextmanager
def capture(on_launch: Callable[[Launch], None] = lambda launch: None) -> Iterator[list[Launch]]:
    """Within the block, launches of Triton kernels go to `on_launch` and to the list, not to a driver."""
    launches: list[Launch] = []

    def record(kernel: JITFunction, *args: Any, grid: Any, warmup: bool, **kwargs: Any) -> None:
        one = Launch(kernel, (), args, kwargs)
        extents = grid(one.arguments) if callable(grid) else grid
        one = Launch(kernel, tuple(int(extent) for extent in (*extents, 1, 1)[:3]), args, kwargs)
        launches.append(one)
        on_launch(one)

    original = JITFunction.run
    JITFunction.run = record
    try:
        yield launches
    finally:
        JITFunction.run = original


@contextmanager
def emulated(
    target: str,
    order: Order = Order(),  # noqa: B008 (frozen)
    count: bool = True,
    edit: Callable[[str], str] = str,
) -> Iterator[list[EmulatedLaunch]]:
    """Within the block, launches of Triton kernels are compiled for `target` and emulated at once, in place.

    Memory that torch.empty and its kin give out within the block counts as uninitialised until it is written; not
    what an operator of torch.library allocates inside, where no one can watch: call the launcher itself.
    """
    done: list[EmulatedLaunch] = []
    written = WrittenBytes()

    def run(one: Launch) -> None:
        counters = one.run(target, order, written, count, edit)
        done.append(EmulatedLaunch(one, one.compile(target), counters))

    with capture(run), _FreshMemory(written):
        yield done


class _FreshMemory(TorchDispatchMode):
    """Tells `written` what torch allocates without filling, and what it fills later."""

    def __init__(self, written: WrittenBytes):
        super().__init__()
        self.written = written

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if function in _EMPTY:
            self.written.add_uninitialised(result)
            return result
        for place, argument in enumerate(function._schema.arguments):
            if argument.alias_info is not None and argument.alias_info.is_write:
                value = args[place] if place < len(args) else (kwargs or {}).get(argument.name)
                if isinstance(value, torch.Tensor):
                    self.written.set_written(value)
        return result
