"""What one training step allocates, in a process that does nothing else."""

import gc
from typing import Any

import torch
from fastgan.bench.allocations import Counter, resident_peak, restart_resident_peak
from fastgan.bench.engines.torch_eager import TrainingEngine, laid_out
from fastgan.bench.network import Arrays
from fastgan.bench.saved import peak_saved_bytes
from torch import nn

from fastgan import native
from fastgan.fusion import fuse_


class Engine(TrainingEngine):
    def model(self, stock: nn.Module, job: dict[str, Any]) -> nn.Module:
        model = laid_out(stock, job)
        return fuse_(model) if job["options"]["fused"] else model

    def measure(self) -> dict[str, Any]:
        measured = self._of_device() if self.place.device.type == "cuda" else self._of_process()
        parameters = [p for model in (self.step.generator, self.step.discriminator) for p in model.parameters()]
        return {**measured, "saved": peak_saved_bytes(self.call, parameters)}

    def _of_device(self) -> dict[str, Any]:
        """Bytes that torch's allocator has given out above the state before a step, and what it had reserved at most.

        Workspaces that libraries take from it are counted, the CUDA context and what drivers keep are not.
        """
        self.call()  # whatever is made once: buffers of the optimiser, handles, compiled kernels
        self.synchronise()
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        self.call()
        self.synchronise()
        transient = torch.cuda.max_memory_allocated() - before
        return {"transient": transient, "vm_hwm": None, "reserved": torch.cuda.max_memory_reserved()}

    def _of_process(self) -> dict[str, Any]:
        """Bytes above the state before a step: by the counting allocator and by VmHWM.

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
        return {"transient": transient, "vm_hwm": high}


def prepare(job: dict[str, Any], arrays: Arrays) -> Engine:
    return Engine(job, arrays)
