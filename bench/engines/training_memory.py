"""What one training step allocates, in a process that does nothing else."""

import gc
from typing import Any

from fastgan.bench.allocations import Counter, resident_peak, restart_resident_peak
from fastgan.bench.engines.torch_eager import TrainingEngine, laid_out
from fastgan.bench.network import Arrays
from fastgan.bench.saved import peak_saved_bytes
from torch import nn

from fastgan import native
from fastgan.fusion import fuse_


class Engine(TrainingEngine):
    def model(self, stock: nn.Module, job: dict[str, Any]) -> nn.Module:
        return fuse_(stock) if job["options"]["fused"] else laid_out(stock, job)

    def measure(self) -> dict[str, Any]:
        """Bytes above the state before a step: by the counting allocator, by VmHWM, and those saved for backward.

        What our kernels keep from step to step to work in is counted with the first two.
        """
        step = self.call
        step()  # whatever is made once: buffers of the optimiser, compiled primitives
        gc.collect()
        kept = native.kept_scratch()  # allocated in the first step, used in every one
        try:
            counter = Counter()
            before = counter.restart()
            step()
            transient = counter.peak() - before + kept
        except ValueError:
            transient = None
        gc.collect()
        resident = restart_resident_peak()
        step()
        high = resident_peak() - resident + kept if resident is not None else None
        parameters = [p for model in (step.generator, step.discriminator) for p in model.parameters()]
        return {"transient": transient, "vm_hwm": high, "saved": peak_saved_bytes(step, parameters)}


def prepare(job: dict[str, Any], arrays: Arrays) -> Engine:
    return Engine(job, arrays)
